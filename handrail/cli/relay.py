"""`handrail relay`: publish the events at the broker, and look after those it would not take."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from cyclopts import App, Parameter

from handrail.cli.api_client import login_name
from handrail.cli.command_runner import run_database_job, run_job, run_service
from handrail.cli.newer_code import FormName, Withdraw
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Reason, Wide
from handrail.cli.sagas import USAGE, Why
from handrail.cli.sealed_reason import sealed
from handrail.dev.lock import joined
from handrail.kernel import Attribution
from handrail.load_app import BAD_APP, load_settings, the_app
from handrail.messaging.broker.plan import UNKNOWN, NoBroker
from handrail.optional_deps import require_extra
from handrail.refused_settings import require
from handrail.settings import Settings

# The modules behind the commands need the extra, and are imported once it is there.
# ruff: noqa: PLC0415

relay = App(name="relay", help="Publish the events at the broker.")


def _is_an_exchange(_: Any, name: str | None) -> None:
    """Raises ValueError, which names those there are."""
    there_are = (*the_app().routing.exchanges, UNKNOWN)
    if name is not None and name not in there_are:
        raise ValueError(f"there is no exchange {name}: one of {', '.join(there_are)}")


@relay.default
def run() -> int:
    """Publish every event at the broker, in the order of its stream."""
    return run_service("relay", _module().run, "database_url", "broker_url")


@relay.command
def parked(*, wide: Wide = False, json: Json = False) -> int:
    """Which events could not be published, and why. The exit code is 1 where there are any."""
    show = _module().show_parked
    return run_database_job("relay", lambda settings: show(settings, json=json, wide=wide))


@relay.command
def status(*, wide: Wide = False, json: Json = False) -> int:
    """How far the relay is behind, and what waits there for newer code.

    The exit code is 1 where something is parked or waits.
    """
    from handrail.cli.relay_commands import status as show

    _module()
    return run_database_job("relay", lambda settings: show(settings, json=json, wide=wide))


@relay.command(name="park-unknown")
def park_unknown(
    event: FormName,
    /,
    *,
    why: Why,
    withdraw: Withdraw = False,
    json: Json = False,
) -> int:
    """Park events of newer code at the relay, where there will be no relay that knows them.

    Their streams stand still until a retry; other streams of the shard go on.
    """
    from handrail.cli.relay_commands import park_unknown as park

    _module()
    by = Attribution(why.actor or login_name(), why.reason)

    async def work(settings: Settings) -> int:
        return await park(settings, event, await sealed(by), withdraw=withdraw, json=json)

    return run_database_job(
        "relay",
        work,
        act=OperatorAct("relay park-unknown", event, why.actor, why.reason),
    )


@relay.command
def retry(
    exchange: Annotated[
        str | None,
        Parameter(help="One exchange. Without: all.", validator=_is_an_exchange),
    ] = None,
    stream: str | None = None,
    /,
    *,
    all: Annotated[  # noqa: A002  # as on the command line
        bool, Parameter(negative="", help="All that is parked, as without an exchange.")
    ] = False,
    reason: Reason = None,
) -> int:
    """Publish, in order, what could not be: all of it, or that of one exchange, or one stream."""
    if all and exchange is not None:
        print("either an exchange or --all", file=sys.stderr)
        return USAGE
    work_off = _module().work_off
    target = " ".join(filter(None, (exchange, stream))) or "all"
    act = OperatorAct("relay retry", target, reason=reason or "")
    return _at_the_broker(lambda settings: work_off(settings, exchange, stream), act)


@relay.command
def forget(
    *,
    yes: Annotated[
        bool, Parameter(negative="", help="Do it, and do not only say what comes again then.")
    ] = False,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """Keep nothing more for a relay: there is none any more.

    What waits at it is forgotten, too. The next relay begins with the first event. Without --yes it
    only says what would be published again, and to whom; the exit code is 1 then.
    """
    forget_relay = _module().forget_relay
    return run_database_job(
        "relay",
        lambda settings: forget_relay(settings, yes=yes, json=json, wide=wide),
        act=OperatorAct("relay forget") if yes else None,
    )


def _module() -> Any:
    require_extra("broker", "aiormq", "cloudevents")
    if the_app().broker is None:
        print(NoBroker(), file=sys.stderr)
        raise SystemExit(BAD_APP)
    from handrail.processes import relay as module

    return module


def _at_the_broker(work: Callable[[Settings], Awaitable[int]], act: OperatorAct) -> int:
    settings = joined(load_settings())
    require(settings, "database_url", "broker_url")
    return run_job(settings, "relay", work, act=act)
