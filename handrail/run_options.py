"""The run options of every saga, from the settings of the library."""

from __future__ import annotations

from handrail.sagas.options import RunOptions
from handrail.settings import Settings


def run_options(settings: Settings) -> RunOptions:
    """Those that a business without options of its own starts its sagas with."""
    return RunOptions(
        steps=settings.step_placement,
        queue_prefix=settings.task_queue_prefix,
        first_try_seconds=settings.first_try_seconds,
        deadline_seconds=settings.step_deadline_seconds,
        patience_seconds=settings.step_patience_seconds,
        keys_kept_seconds=settings.keys_kept_seconds,
    )
