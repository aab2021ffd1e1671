"""`handrail deploy`: which version of the workers is current, and what still runs on the others."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from cyclopts import App, Parameter
from cyclopts.validators import Number

from handrail.cli.command_runner import run_job
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.dev.lock import joined
from handrail.load_app import load_settings, the_app
from handrail.refused_settings import require
from handrail.settings import Settings
from handrail.temporal.deployment_names import valid_build_id

if TYPE_CHECKING:
    from handrail.cli.deploy_commands import Operator

# The modules behind the commands are imported inside them: a process loads only what it runs.
# ruff: noqa: PLC0415

deploy = App(name="deploy", help="Which version of the workers is current, and what runs on each.")
_USAGE = 2
_A_WEEK = 7 * 24 * 3600


def _is_build_id(_kind: Any, value: Any) -> None:
    if value is not None:
        valid_build_id(value)


BuildId = Annotated[str, Parameter(help="The build id of a version.", validator=_is_build_id)]
Seconds = Annotated[
    float,
    Parameter(help="How many seconds that may take.", validator=Number(gte=0, lte=_A_WEEK)),
]


@deploy.command
def status(*, json: Json = False, wide: Wide = False) -> int:
    """Print each version: its state, how many workflows run on it, and its workers.

    The exit code is 1 where workflows wait for a version that has no worker.
    """
    return _run(lambda one: one.status(), json=json, wide=wide)


@deploy.command
def promote(
    build_id: Annotated[BuildId | None, Parameter(negative="")] = None,
    *,
    unversioned: Annotated[
        bool, Parameter(negative="", help="Back to workers without a build id.")
    ] = False,
    within: Seconds = 30,
    json: Json = False,
) -> int:
    """Make a version the current one: what begins from now on begins on it.

    An older one is promoted in the same way: that takes a release back. It waits for workers of the
    version that are about to start.
    """
    if (build_id is None) is not unversioned:
        return _misuse("name a build id, or --unversioned")
    return _run(
        lambda one: one.promote(build_id or "", within=within),
        json=json,
        act=OperatorAct("deploy promote", build_id or "unversioned"),
    )


@deploy.command
def ramp(
    build_id: BuildId,
    percent: Annotated[
        float,
        Parameter(
            help="How many in a hundred of what begins; 0: none any more.",
            validator=Number(gte=0, lte=100),
        ),
    ],
    *,
    within: Seconds = 30,
    json: Json = False,
) -> int:
    """Have a part of what begins from now on begin on a version beside the current one."""
    return _run(
        lambda one: one.ramp(build_id, percent, within=within),
        json=json,
        act=OperatorAct("deploy ramp", f"{build_id} {percent:g} %"),
    )


@deploy.command
def drain(build_id: BuildId, *, within: Seconds = 3600, json: Json = False) -> int:
    """Wait until nothing runs on a version any more, so that its workers can be stopped.

    Processes of months are woken, and go on on the current version. The exit code is 1 where the
    time is over before that.
    """
    return _run(
        lambda one: one.drain(build_id, within=within),
        json=json,
        act=OperatorAct("deploy drain", build_id),
    )


@deploy.command
def move(
    saga: Annotated[
        str | None, Parameter(help="The saga, or process. Without one: --from.")
    ] = None,
    *,
    to: BuildId,
    from_: Annotated[
        BuildId | None, Parameter(name="--from", help="All that run on this version.")
    ] = None,
    unchecked: Annotated[
        bool,
        Parameter(negative="", help="Without replaying each history with the code that is here."),
    ] = False,
    json: Json = False,
) -> int:
    """Have workflows go on on another version, where theirs has no worker any more.

    Only those of which the other version asks for the same steps can. Each history is replayed
    first, with the code of this installation: it must be the release of `--to`, with the same
    HANDRAIL_BUILD_ID. One that does not replay is not moved, and the exit code is 1.
    """
    if (saga is None) is (from_ is None):
        return _misuse("name a saga, or --from a version")
    return _run(
        lambda one: one.move(saga, from_, to, unchecked=unchecked),
        json=json,
        act=OperatorAct("deploy move", f"{saga or from_} to {to}"),
    )


def _run(
    work: Callable[[Operator], Awaitable[tuple[int, dict[str, Any]]]],
    *,
    json: bool,
    wide: bool = False,
    act: OperatorAct | None = None,
) -> int:
    """An `act` is stored before it is done, which takes the database."""
    from temporalio.service import RPCError

    from handrail.cli.deploy_commands import opened_operator
    from handrail.temporal.deployments import DeploymentRefused

    async def job(settings: Settings) -> int:
        try:
            operator: Operator = await opened_operator(settings, the_app(), json=json, wide=wide)
            code, said = await work(operator)
        except DeploymentRefused as refused:
            print(refused, file=sys.stderr)
            return 1
        except (RPCError, RuntimeError) as away:
            print(
                f"Temporal at {settings.temporal_address} did not answer as it should: {away}",
                file=sys.stderr,
            )
            return 1
        if json:
            print(orjson.dumps(said).decode(), flush=True)
        return code

    settings = joined(load_settings())
    require(settings, "temporal_address", *(["database_url"] if act else []))
    return run_job(settings, "deploy", job, act=act)


def _misuse(said: str) -> int:
    print(said, file=sys.stderr)
    return _USAGE
