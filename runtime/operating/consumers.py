"""`handrail consumers`: what waits at consumers for a person, and what a person does with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import orjson
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from eventstore.pool import Connection
from messaging import parking
from messaging.catalogue import CONSUMERS
from messaging.consumer import Consumer
from messaging.parking import By, NothingParked, ParkedStream
from runtime.connecting import store_pool
from runtime.consumer import known
from runtime.errands import database_errand
from runtime.operating.client import login_name
from runtime.operating.commands import Why
from runtime.options import Json
from runtime.settings import Settings

consumers = App(
    name="consumers", help="Look at what waits at consumers, and have it handled or discarded."
)

_PAGE: Final = 100
Result = tuple[int, dict[str, Any]]
Name = Annotated[str, Parameter(help="The consumer.")]
Stream = Annotated[str, Parameter(help="The stream, such as merchant-m7.")]


@consumers.command(name="list")
def list_consumers(*, json: Json = False) -> int:
    """Who consumes events, and how much waits there. The exit code is 1 where something does."""

    async def work(connection: Connection, console: Console) -> Result:
        counts = await parking.counts(connection)
        table = Table(
            "consumer", "virtual host", "queue", "events", "streams wait", "messages wait"
        )
        found = []
        for one in CONSUMERS:
            streams, messages = counts.get(one.name, (0, 0))
            table.add_row(
                one.name, one.vhost, one.queue, str(len(one.wants)), str(streams), str(messages)
            )
            found.append({"name": one.name, "parked_streams": streams, "parked": messages})
        console.print(table)
        return int(any(counts.values())), {"consumers": found}

    return _run(work, json=json)


@consumers.command
def parked(name: Name, *, json: Json = False) -> int:
    """Which streams wait, since when and why. The exit code is 1 where one does."""
    consumer = known(name)

    async def work(connection: Connection, console: Console) -> Result:
        found = await parking.streams(connection, consumer.name, limit=_PAGE)
        for one in found:
            console.print(
                f"{one.stream}: {one.waiting} wait since {one.parked_at:%F %T}. {one.type},"
                f" version {one.version}, was tried {one.attempts} times: {one.cause}\n"
                f"  once that is mended: handrail consumers retry {name} {one.stream} --reason …",
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
    name: Name,
    stream: Annotated[str | None, Parameter(help="The stream. Without: all that wait.")] = None,
    /,
    *,
    why: Why,
    json: Json = False,
) -> int:
    """Handle what waits, in its order, up to the first message that fails again."""
    consumer = known(name)

    async def work(connection: Connection, console: Console) -> Result:
        streams = [stream] if stream else await _all_streams(connection, consumer)
        handled, stopped = 0, dict[str, str]()
        for one in streams:
            done = await parking.retry(connection, consumer, one, _by(why))
            handled += done.handled
            if done.stopped_by:
                stopped[one] = done.stopped_by.cause
                console.print(
                    f"{one} stopped at version {done.stopped_by.version}: {done.stopped_by.cause}",
                    highlight=False,
                )
        console.print(f"{handled} messages handled")
        return int(bool(stopped)), {"handled": handled, "stopped": stopped}

    return _run(work, json=json)


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
        dropped = await parking.discard(
            connection, consumer.name, stream, _by(why), version=version
        )
        console.print(f"{stream}/{dropped} was discarded")
        return 0, {"discarded": {"stream": stream, "version": dropped}}

    return _run(work, json=json)


def _run(work: Callable[[Connection, Console], Awaitable[Result]], *, json: bool) -> int:
    console = Console(stderr=json)

    async def connected(settings: Settings) -> int:
        async with (
            store_pool(settings, size=1, name="handrail-consumers") as pool,
            pool.connection() as connection,
        ):
            try:
                code, figures = await work(connection, console)
            except NothingParked as nothing:
                console.print(str(nothing), highlight=False)
                return 1
        if json:
            print(orjson.dumps(figures).decode())
        return code

    return database_errand("consumers", connected)


async def _all_streams(connection: Connection, consumer: Consumer) -> list[str]:
    found: list[ParkedStream] = []
    while page := await parking.streams(
        connection,
        consumer.name,
        after=(found[-1].parked_at, found[-1].stream) if found else None,
        limit=_PAGE,
    ):
        found += page
    return [one.stream for one in found]


def _by(why: Why) -> By:
    return By(why.actor or login_name(), why.reason)


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
