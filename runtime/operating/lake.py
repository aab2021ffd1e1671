"""`handrail lake`: export the events to the data lake, and ask it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from runtime import lake as run
from runtime.errands import database_errand, process

lake = App(name="lake", help="The data lake: the same events, to be asked anything.")


@lake.command
def export(
    *,
    once: Annotated[bool, Parameter(negative="", help="End when all is exported.")] = False,
) -> int:
    """Write the events to the lake, each once, as long as it runs."""
    run.require_it()
    if once:
        return database_errand("lake", run.catch_up)
    return process("lake", run.export, "database_url")


@lake.command
def forget() -> int:
    """Forget what was exported: nothing more is kept for the lake; it stays, and gets no more.

    The next export begins with the first event, in an empty folder.
    """
    return database_errand("lake", run.forget)
