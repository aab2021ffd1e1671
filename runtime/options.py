"""Run options of the shop's sagas: when an order is reviewed, and the terms of its instalments."""

from __future__ import annotations

from dataclasses import replace

from handrail.sagas.options import RunOptions
from handrail.settings import Settings
from handrail.temporal.run_options import run_options
from workflows.dunning import Terms


def options_of(settings: Settings) -> RunOptions:
    return replace(
        run_options(settings),
        review_above=settings.review_above,
        review_seconds=settings.review_seconds,
        terms=Terms(again_after_days=settings.dunning_days, late_fee=settings.late_fee),
    )
