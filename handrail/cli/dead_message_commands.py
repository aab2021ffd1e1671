"""Commands on dead and unrouted messages: `handrail topology messages`, `redrive` and others."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.connections import store_engine
from handrail.kernel import Attribution
from handrail.load_app import the_app
from handrail.messaging.broker.dead_message import (
    LARGEST_EDIT,
    LOOKED,
    Acted,
    DeadMessage,
    DeadQueue,
    NotFound,
    NotToBeEdited,
)
from handrail.messaging.broker.dead_messages import DeadMessages
from handrail.messaging.broker.management_api import BrokerSaidNo
from handrail.messaging.broker.operator_access import of_administrator
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal

STDIN: Final = "-"


def body_in(file: str) -> bytes:
    """The new body, at most 128 KiB of it and one byte more. Raises OSError."""
    if file == STDIN:
        return sys.stdin.buffer.read(LARGEST_EDIT + 1)
    with Path(file).open("rb") as opened:
        return opened.read(LARGEST_EDIT + 1)


async def show(settings: Settings, vhost: str, queue: DeadQueue, *, wide: bool, json: bool) -> int:
    """0 where nothing lies there, 1 where something does."""
    console = terminal(json=json, wide=wide)

    async def work(dead: DeadMessages) -> int:
        found = await dead.look(vhost, queue, limit=LOOKED)
        table_of_dead(found.messages).print(console)
        if found.total > len(found.messages):
            console.print(f"these are {len(found.messages)} of {found.total}")
        if json:
            shown = [_plain(one) for one in found.messages]
            print(orjson.dumps({"total": found.total, "messages": shown}).decode())
        return int(bool(found.total))

    return await _at_the_broker(settings, work)


async def redrive(
    settings: Settings,
    vhost: str,
    queue: DeadQueue,
    by: Attribution,
    *,
    ids: Sequence[str],
    json: bool,
) -> int:
    """0 where all went; without ids, all that are there."""

    async def work(dead: DeadMessages) -> int:
        return _said(await dead.redrive(vhost, queue, by, ids=ids), "redriven", json=json)

    return await _at_the_broker(settings, work)


async def edit(
    settings: Settings,
    vhost: str,
    queue: DeadQueue,
    by: Attribution,
    *,
    id_: str,
    body: bytes,
    json: bool,
) -> int:
    """0 where it went with this body."""

    async def work(dead: DeadMessages) -> int:
        return _said(await dead.edit(vhost, queue, by, id_, body), "redriven", json=json)

    return await _at_the_broker(settings, work)


async def discard(
    settings: Settings,
    vhost: str,
    queue: DeadQueue,
    by: Attribution,
    *,
    ids: Sequence[str],
    json: bool,
) -> int:
    """0 where all are gone."""

    async def work(dead: DeadMessages) -> int:
        return _said(await dead.discard(vhost, queue, by, ids), "discarded", json=json)

    return await _at_the_broker(settings, work)


def table_of_dead(messages: Sequence[DeadMessage]) -> Table:
    """The messages of a queue, with where each comes from and why it is there."""
    table = Table(
        (
            Column("message"),
            Column("id", rank=1),
            Column("key", rank=2),
            Column("from", rank=3),
            Column("since", rank=4),
            Column("cause", kind="text"),
        )
    )
    for one in messages:
        since = f"{one.since:%F %T}" if one.since else ""
        table.add(
            *(one.id, one.message_id, one.routing_key, one.queue or one.exchange, since, one.cause)
        )
    return table


def _said(done: Acted, how: str, *, json: bool) -> int:
    console = terminal(json=json)
    console.print(f"{len(done.done)} {how}, {done.remaining} remain")
    for id_, why in done.left.items():
        console.print(f"left {id_}: {why}", highlight=False, markup=False, style="red")
    if json:
        found = {"done": done.done, "left": done.left, "remaining": done.remaining}
        print(orjson.dumps(found).decode())
    return int(bool(done.left))


def _plain(one: DeadMessage) -> dict[str, Any]:
    fields = {name: value for name, value in vars(one).items() if name != "body"}
    return {**fields, "body": one.text}


async def _at_the_broker(settings: Settings, work: Callable[[DeadMessages], Awaitable[int]]) -> int:
    async with store_engine(settings, size=1, name="handrail topology") as engine:

        def connected() -> AbstractAsyncContextManager[AsyncConnection]:
            return engine.connect()

        try:
            app, broker = the_app(), of_administrator(settings)
            return await work(broker.dead_messages(app.routing, app.consumers, connected))
        except (BrokerSaidNo, NotFound, NotToBeEdited) as no:
            print(no, file=sys.stderr)
            return 1
