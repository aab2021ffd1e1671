"""`handrail projections`: look after the read models."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

from cyclopts import App, Parameter

from handrail.cli.api_client import login_name
from handrail.cli.command_runner import run_database_job
from handrail.cli.newer_code import FormName, Withdraw
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Reason, Wide
from handrail.cli.sagas import USAGE, Why
from handrail.cli.sealed_reason import sealed
from handrail.kernel import Attribution
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
def rebuild(
    *names: str,
    requested: Annotated[
        bool,
        Parameter(
            negative="", help="Those that are requested over HTTP, until the process is stopped."
        ),
    ] = False,
    reason: Reason = None,
) -> int:
    """Build read models anew from the first event, beside those in use, and exchange them.

    Without a name, all of them.
    """
    from handrail.cli.projection_commands import build_anew, build_requested

    if requested:
        if names:
            print("give read models, or --requested", file=sys.stderr)
            return USAGE
        return _run_job(build_requested)
    act = OperatorAct("projections rebuild", " ".join(names) or "all", reason=reason or "")
    return _run_job(lambda settings: build_anew(settings, names), act)


@projections.command
def drop(name: str) -> int:
    """Take a read model away that no release reads any more; this release must not have it."""
    from handrail.cli.projection_commands import take_away

    act = OperatorAct("projections drop", name)
    return _run_job(lambda settings: take_away(settings, name), act)


@projections.command
def retry(
    name: str | None = None,
    stream: str | None = None,
    *,
    all: Annotated[  # noqa: A002  # as on the command line
        bool, Parameter(negative="", help="All that is parked, of one read model or of each.")
    ] = False,
    reason: Reason = None,
) -> int:
    """Apply, in order, the events that wait behind one that could not be applied."""
    from handrail.cli.projection_commands import work_off, work_off_all

    if all and stream is None:
        act = OperatorAct("projections retry", name or "all", reason=reason or "")
        return _run_job(lambda settings: work_off_all(settings, name), act)
    if all or name is None or stream is None:
        print("give a read model and a stream, or --all", file=sys.stderr)
        return USAGE
    act = OperatorAct("projections retry", f"{name} {stream}", reason=reason or "")
    return _run_job(lambda settings: work_off(settings, name, stream), act)


@projections.command(name="park-unknown")
def park_unknown(
    name: str,
    event: FormName,
    /,
    *,
    why: Why,
    withdraw: Withdraw = False,
    json: Json = False,
) -> int:
    """Park events of newer code at a read model, where there will be no process that reads them.

    Their rows stand still until a retry; other rows of the shard go on.
    """
    from handrail.cli.projection_commands import park_unknown as park

    by = Attribution(why.actor or login_name(), why.reason)
    act = OperatorAct("projections park-unknown", f"{name} {event}", why.actor, why.reason)

    async def work(settings: Settings) -> int:
        return await park(settings, name, event, await sealed(by), withdraw=withdraw, json=json)

    return _run_job(work, act)


def _run_job(work: Callable[[Settings], Awaitable[int]], act: OperatorAct | None = None) -> int:
    return run_database_job("projections", work, act=act)
