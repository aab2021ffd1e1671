"""`handrail relay`: publish the events at the broker, and look after those it would not take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from handrail.cli.command_runner import database_errand, errand, process
from handrail.cli.options import Json
from handrail.dev.stack import joined
from handrail.load_app import load_settings
from handrail.optional_deps import require_extra
from handrail.settings import Settings, require

# The modules behind the commands need the extra, and are imported once it is there.
# ruff: noqa: PLC0415

relay = App(name="relay", help="Publish the events at the broker.")


@relay.default
def run() -> int:
    """Publish every event at the broker, in the order of its stream."""
    return process("relay", _module().run, "database_url", "broker_url")


@relay.command
def parked(*, json: Json = False) -> int:
    """Which events could not be published, and why. The exit code is 1 where there are any."""
    show = _module().show_parked
    return database_errand("relay", lambda settings: show(settings, json=json))


@relay.command
def retry(
    exchange: Literal["events", "money", "parcels", "sagas", "unknown"] | None = None,
    stream: str | None = None,
    /,
) -> int:
    """Publish, in order, what could not be: all of it, or that of one exchange, or one stream."""
    work_off = _module().work_off
    return _at_the_broker(lambda settings: work_off(settings, exchange, stream))


@relay.command
def forget(
    *,
    yes: Annotated[
        bool, Parameter(negative="", help="Do it, and do not only say what comes again then.")
    ] = False,
    json: Json = False,
) -> int:
    """Keep nothing more for a relay: there is none any more.

    What waits at it is forgotten, too. The next relay begins with the first event. Without --yes it
    only says what would be published again, and to whom; the exit code is 1 then.
    """
    forget_relay = _module().forget_relay
    return database_errand("relay", lambda settings: forget_relay(settings, yes=yes, json=json))


def _module() -> Any:
    require_extra("broker", "aiormq", "cloudevents")
    from handrail.processes import relay as module

    return module


def _at_the_broker(work: Callable[[Settings], Awaitable[int]]) -> int:
    settings = joined(load_settings())
    require(settings, "database_url", "broker_url")
    return errand(settings, "relay", work)
