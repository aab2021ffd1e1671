"""`handrail consumers`: how far consumers are, what waits there, and what a person does with it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from cyclopts import App, Parameter, validators
from rich.console import Console

from handrail.access.database_roles import CONSUMER, OPERATOR
from handrail.cli.api_client import login_name
from handrail.cli.command_runner import run_database_job
from handrail.cli.newer_code import FormName, Withdraw, form_of, show_waiting
from handrail.cli.newer_code import park_unknown as decided
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.cli.sagas import USAGE, Why
from handrail.cli.sealed_reason import sealed
from handrail.connections import store_pool
from handrail.counted import counted
from handrail.eventstore.pool import Connection
from handrail.eventstore.unread_forms import unread_form
from handrail.kernel import Attribution
from handrail.load_app import the_app
from handrail.messaging.consumers import parked_messages
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.parked_messages import NothingParked, ParkedStream
from handrail.messaging.consumers.progress import (
    Result,
    Target,
    Unwanted,
    bring_back,
    read_history,
    show_standing,
)
from handrail.processes.consumer import known
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal

consumers = App(
    name="consumers", help="Look after consumers: how far they are, and what waits there."
)

_PAGE: Final = 100
Name = Annotated[str, Parameter(help="The consumer.")]
OneOrAll = Annotated[str | None, Parameter(help="The consumer. Without: all.")]
Yes = Annotated[bool, Parameter(negative="", help="Do it, and do not only say what it does.")]
_POSITIONS: Final = validators.Number(gte=0, lte=2**63 - 1)
Stream = Annotated[str, Parameter(help="The stream, as `parked` shows it.")]


@consumers.command(name="list")
def list_consumers(*, wide: Wide = False, json: Json = False) -> int:
    """Who consumes events, and how much waits there. The exit code is 1 where something does."""

    async def work(connection: Connection, console: Console) -> Result:
        counts = await parked_messages.counts(connection)
        unread = await parked_messages.waiting_counts(connection)
        found = []
        for one in the_app().consumers:
            streams, messages = counts.get(one.name, (0, 0))
            waiting_streams, waiting = unread.get(one.name, (0, 0))
            found.append(
                {
                    "name": one.name,
                    "parked_streams": streams,
                    "parked": messages,
                    "waiting_streams": waiting_streams,
                    "waiting": waiting,
                }
            )
            if waiting:
                console.print(
                    f"{one.name}: {counted(waiting, 'message')} wait for newer code",
                    highlight=False,
                )
        table_of(the_app().consumers, counts).print(console)
        return int(any(counts.values()) or any(unread.values())), {"consumers": found}

    return _run(work, wide=wide, json=json)


@consumers.command
def parked(name: Name, *, json: Json = False) -> int:
    """Which streams wait, since when and why. The exit code is 1 where one does."""
    consumer = known(name)

    async def work(connection: Connection, console: Console) -> Result:
        found = await parked_messages.streams(connection, consumer.name, limit=_PAGE)
        for one in found:
            remedy = "once that is mended: handrail consumers retry"
            if unread_form(one.cause):
                remedy = "newer code goes on there by itself; now: handrail consumers retry"
            console.print(
                f"{one.stream}: {one.waiting} wait since {one.parked_at:%F %T}. {one.type},"
                f" version {one.version}, was tried {one.attempts} times: {one.cause}\n"
                f"  {remedy} {name} {one.stream} --reason …",
                highlight=False,
            )
        if len(found) == _PAGE:
            console.print(f"and maybe more: these are {_PAGE}")
        if not found:
            console.print(f"nothing waits at {name}")
        return int(bool(found)), {"parked": [_as_json(one) for one in found]}

    return _run(work, json=json)


@consumers.command
def retry(
    name: OneOrAll = None,
    stream: Annotated[str | None, Parameter(help="The stream. Without: all that wait.")] = None,
    /,
    *,
    why: Why,
    all: Annotated[  # noqa: A002  # as on the command line
        bool, Parameter(negative="", help="All that wait, at one consumer or at each.")
    ] = False,
    json: Json = False,
) -> int:
    """Handle what waits, in its order, up to the first message that fails again."""
    if (name is None and not all) or (all and stream is not None):
        print("give a consumer, and a stream or --all", file=sys.stderr)
        return USAGE
    if name is None:
        codes = [_retry(one.name, None, why, json=json) for one in the_app().consumers]
        return max(codes, default=0)
    return _retry(name, stream, why, json=json)


def _retry(name: str, stream: str | None, why: Why, *, json: bool) -> int:
    """Of one consumer, with its own login."""
    consumer, codec = known(name), the_app().codec

    async def work(connection: Connection, console: Console) -> Result:
        streams = [stream] if stream else await _all_streams(connection, consumer)
        handled, stopped = 0, dict[str, str]()
        for one in streams:
            by = await sealed(_by(why), stream=one)
            done = await parked_messages.retry(connection, consumer, codec, one, by)
            handled += done.handled
            if done.stopped_by:
                stopped[one] = done.stopped_by.cause
                console.print(
                    f"{one} stopped at version {done.stopped_by.version}: {done.stopped_by.cause}",
                    highlight=False,
                )
        console.print(f"{name}: {counted(handled, 'message')} handled", highlight=False)
        return int(bool(stopped)), {"consumer": name, "handled": handled, "stopped": stopped}

    act = _act("retry", why, name, stream or "all")
    return _run(work, json=json, role=f"{CONSUMER}:{name}", act=act)


@consumers.command
def discard(
    name: Name,
    stream: Stream,
    /,
    *,
    why: Why,
    version: Annotated[
        int | None, Parameter(help="Which message. Without: the first that waits.")
    ] = None,
    json: Json = False,
) -> int:
    """Never handle a message that waits; those behind it follow on the next retry."""
    consumer = known(name)

    async def work(connection: Connection, console: Console) -> Result:
        by = await sealed(_by(why), stream=stream)
        dropped = await parked_messages.discard(
            connection, consumer.name, stream, by, version=version
        )
        console.print(f"{stream}/{dropped} was discarded")
        return 0, {"discarded": {"stream": stream, "version": dropped}}

    which = stream if version is None else f"{stream}/{version}"
    return _run(work, json=json, act=_act("discard", why, name, which))


@consumers.command
def status(name: OneOrAll = None, /, *, wide: Wide = False, json: Json = False) -> int:
    """How far consumers are, and which types they read from history.

    The exit code is 1 where one does, or has to, and where something waits for newer code.
    """
    chosen = [known(name)] if name else list(the_app().consumers)

    async def work(connection: Connection, console: Console) -> Result:
        code, figures = await show_standing(connection, console, chosen)
        waits, waiting = await show_waiting(
            connection,
            console,
            [one.follower for one in chosen],
            "handrail consumers park-unknown NAME EVENT.vN --reason …",
        )
        unread = await parked_messages.waiting_counts(connection)
        for one in chosen:
            if (found := unread.get(one.name)) is not None:
                console.print(
                    f"{one.name}: {counted(found[0], 'stream')} with"
                    f" {counted(found[1], 'message')} wait for newer code, set aside; see"
                    f" handrail consumers parked {one.name}",
                    highlight=False,
                )
        set_aside = {
            one.name: dict(zip(("streams", "messages"), unread[one.name], strict=True))
            for one in chosen
            if one.name in unread
        }
        return int(bool(code or waits or set_aside)), {**figures, **waiting, "set_aside": set_aside}

    return _run(work, wide=wide, json=json)


@consumers.command(name="park-unknown")
def park_unknown(
    name: Name,
    event: FormName,
    /,
    *,
    why: Why,
    withdraw: Withdraw = False,
    json: Json = False,
) -> int:
    """Park events of newer code at a consumer that is fed from the store, where there will be no
    process that reads them.

    Their streams stand still until a retry or a discard; other streams of the shard go on.
    """
    consumer, form = known(name), form_of(event)

    async def work(connection: Connection, console: Console) -> Result:
        return await decided(
            connection,
            console,
            [consumer.follower],
            form,
            await sealed(_by(why)),
            codec=the_app().codec,
            withdraw=withdraw,
        )

    act = _act("park-unknown", why, name, event)
    return _run(work, json=json, act=act)


@consumers.command
def backfill(name: Name, /, *, yes: Yes = False, json: Json = False) -> int:
    """Read the types that were added to what a consumer wants from history.

    Without --yes it only says what that is, and the exit code is 1 where there is something.
    """
    consumer = known(name)
    return _run(
        lambda one, console: read_history(one, console, consumer, the_app().codec, yes=yes),
        json=json,
        role=f"{CONSUMER}:{name}",
        act=OperatorAct("consumers backfill", name) if yes else None,
    )


@consumers.command
def rewind(
    name: Name,
    /,
    *,
    why: Why,
    to_position: Annotated[
        int | None,
        Parameter(help="The last position to be left as it is.", validator=_POSITIONS),
    ] = None,
    to_time: Annotated[
        datetime | None,
        Parameter(help="Or the moment to go back to, such as 2026-03-02T12:00; in UTC."),
    ] = None,
    type: Annotated[  # noqa: A002  # as on the command line
        list[str] | None, Parameter(negative="", help="Only this type; may be given repeatedly.")
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Have a consumer handle again what it has handled since.

    Without --yes it only says what would be handled again, and what has its effect twice; the exit
    code is 1 then.
    """
    consumer = known(name)
    if (to_position is None) == (to_time is None):
        print("either --to-position or --to-time says how far to go back", file=sys.stderr)
        return USAGE

    async def work(connection: Connection, console: Console) -> Result:
        by = await sealed(_by(why)) if yes else _by(why)
        target = Target(to_position, to_time)
        return await bring_back(
            connection,
            console,
            consumer,
            target,
            type or [],
            by=(by.actor, by.reason),
            yes=yes,
        )

    back_to = str(to_position if to_time is None else to_time)
    act = _act("rewind", why, name, back_to, *(type or [])) if yes else None
    return _run(work, json=json, act=act)


def table_of(of: Sequence[Consumer], counts: Mapping[str, tuple[int, int]]) -> Table:
    """`counts` are the streams and the messages that wait at a consumer, by its name."""
    table = Table(
        (
            Column("consumer"),
            Column("virtual host", rank=2),
            Column("queue", rank=3),
            Column("events", rank=1, right=True),
            Column("streams wait", right=True),
            Column("messages wait", right=True),
        )
    )
    for one in of:
        wait = map(str, counts.get(one.name, (0, 0)))
        table.add(one.name, one.vhost, one.queue, str(len(one.wants)), *wait)
    return table


def _run(
    work: Callable[[Connection, Console], Awaitable[Result]],
    *,
    wide: bool = False,
    json: bool,
    role: str = OPERATOR,
    act: OperatorAct | None = None,
) -> int:
    """What handles messages has the consumer's own login, which may write what they write."""
    console = terminal(json=json, wide=wide)

    async def connected(settings: Settings) -> int:
        async with (
            store_pool(settings, size=1, name="handrail-consumers") as pool,
            pool.connection() as connection,
        ):
            try:
                code, figures = await work(connection, console)
            except (NothingParked, Unwanted) as wrong:
                console.print(str(wrong), highlight=False)
                return 1
        if json:
            print(orjson.dumps(figures).decode())
        return code

    return run_database_job("consumers", connected, role=role, act=act)


async def _all_streams(connection: Connection, consumer: Consumer) -> list[str]:
    found: list[ParkedStream] = []
    while page := await parked_messages.streams(
        connection,
        consumer.name,
        after=(found[-1].parked_at, found[-1].stream) if found else None,
        limit=_PAGE,
    ):
        found += page
    return [one.stream for one in found]


def _act(command: str, why: Why, *target: str) -> OperatorAct:
    return OperatorAct(f"consumers {command}", " ".join(target), why.actor, why.reason)


def _by(why: Why) -> Attribution:
    return Attribution(why.actor or login_name(), why.reason)


def _as_json(one: ParkedStream) -> dict[str, Any]:
    return {
        "stream": one.stream,
        "parked_at": one.parked_at,
        "version": one.version,
        "type": one.type,
        "cause": one.cause,
        "attempts": one.attempts,
        "waiting": one.waiting,
    }
