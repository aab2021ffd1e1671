"""`handrail projections`: look after the read models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cyclopts import App

from handrail.cli.command_runner import run_database_job
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.settings import Settings

# The modules behind the commands are imported inside them: a process loads only what it runs.
# ruff: noqa: PLC0415

projections = App(name="projections", help="Look after the read models.")


@projections.command
def status(*, wide: Wide = False, json: Json = False) -> int:
    """How far each read model is behind, and which events wait for a person."""
    from handrail.cli.projection_commands import status as show

    return _run_job(lambda settings: show(settings, json=json, wide=wide))


@projections.command
def rebuild(*names: str) -> int:
    """Build read models anew from the first event, beside those in use, and exchange them.

    Without a name, all of them.
    """
    from handrail.cli.projection_commands import build_anew

    act = OperatorAct("projections rebuild", " ".join(names) or "all")
    return _run_job(lambda settings: build_anew(settings, names), act)


@projections.command
def retry(name: str, stream: str) -> int:
    """Apply, in order, the events that wait behind one that could not be applied."""
    from handrail.cli.projection_commands import work_off

    act = OperatorAct("projections retry", f"{name} {stream}")
    return _run_job(lambda settings: work_off(settings, name, stream), act)


def _run_job(work: Callable[[Settings], Awaitable[int]], act: OperatorAct | None = None) -> int:
    return run_database_job("projections", work, act=act)
