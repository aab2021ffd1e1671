"""How the shop's sagas run, from its settings."""

from __future__ import annotations

from dataclasses import fields

from handrail.run_options import run_options
from handrail.sagas.options import RunOptions
from runtime.settings import ShopSettings
from workflows.dunning import Terms
from workflows.options import ShopOptions


def options_of(settings: ShopSettings) -> ShopOptions:
    of_every_saga = run_options(settings)
    return ShopOptions(
        **{one.name: getattr(of_every_saga, one.name) for one in fields(RunOptions)},
        review_above=settings.review_above,
        review_seconds=settings.review_seconds,
        terms=Terms(again_after_days=settings.dunning_days, late_fee=settings.late_fee),
    )
