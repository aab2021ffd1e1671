"""Run options of sagas, from the settings of the process that starts them."""

from __future__ import annotations

from handrail.app import App
from handrail.sagas.options import RunOptions
from handrail.settings import Settings


def options_of(app: App, settings: Settings) -> RunOptions:
    """With those of the business, where the App has some."""
    return (app.run_options or run_options)(settings)


def run_options(settings: Settings) -> RunOptions:
    """Those of the library alone."""
    return RunOptions(
        steps=settings.step_placement,
        queue_prefix=settings.task_queue_prefix,
        first_try_seconds=settings.first_try_seconds,
        deadline_seconds=settings.step_deadline_seconds,
        patience_seconds=settings.step_patience_seconds,
        keys_kept_seconds=settings.keys_kept_seconds,
    )
