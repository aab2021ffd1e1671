"""`handrail relay`: publish the events at the broker, and look after those it would not take."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from cyclopts import App, Parameter

from handrail.cli.command_runner import run_database_job, run_job, run_service
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.dev.lock import joined
from handrail.load_app import BAD_APP, load_settings, the_app
from handrail.messaging.broker.plan import UNKNOWN, NoBroker
from handrail.optional_deps import require_extra
from handrail.settings import Settings, require

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
def retry(
    exchange: Annotated[
        str | None,
        Parameter(help="One exchange. Without: all.", validator=_is_an_exchange),
    ] = None,
    stream: str | None = None,
    /,
) -> int:
    """Publish, in order, what could not be: all of it, or that of one exchange, or one stream."""
    work_off = _module().work_off
    target = " ".join(filter(None, (exchange, stream))) or "all"
    return _at_the_broker(
        lambda settings: work_off(settings, exchange, stream), OperatorAct("relay retry", target)
    )


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
