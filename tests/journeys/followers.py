"""What follows a store outside of it: the lake, and another company at the broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aio_pika
import httpx
import psycopg

from handrail.dev.stack import Stack
from handrail.eventstore.pool import open_pool
from handrail.processes import lake_exporter
from handrail.settings import Settings
from runtime.app import HANDRAIL
from tests.messaging.lake.place import Place
from tests.projections.world import until
from tests.servers.postgres import sql

_QUEUE: Final = "another.company"
_PATIENCE: Final = 120
_STORED: Final = "SELECT stream || '/' || version, position, type FROM events ORDER BY position"

_NOT_EXPORTED: Final = (
    "SELECT (SELECT count(*) FROM lake_batches WHERE settled_at IS NULL)"
    " + (SELECT count(*) FROM checkpoints c JOIN outbox o ON o.shard = c.shard"
    " WHERE c.projection = 'lake' AND NOT pg_visible_in_snapshot(o.txid, c.since))"
    " + (SELECT count(*) FROM events WHERE recorded_at > clock_timestamp() - interval '5 seconds')"
)
"""Until nothing comes any more, too: the two are not read at the same moment."""

_UNREAD_BY_NOTIFICATIONS: Final = (
    "SELECT count(*) FROM checkpoints c JOIN outbox o ON o.shard = c.shard"
    " WHERE c.projection = 'consumer-notifications' AND NOT pg_visible_in_snapshot(o.txid, c.since)"
)

Key = tuple[str, int]
"""An event by its ce-id and its ce-position: what tells it from every other one."""


@dataclass
class OtherCompany:
    """A subscriber that knows nothing of the store, and keeps an inbox of its own."""

    inbox: set[Key] = field(default_factory=set)

    def take(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        position = int(str(message.headers["ce-position"]))
        self.inbox.add((str(message.headers["ce-id"]), position))

    async def gets_all_of(self, url: str) -> None:
        """Every event that the store has and the broker is for, in time."""

        async def is_there() -> bool:
            return not (await published(url) - self.inbox)

        await until(is_there, seconds=_PATIENCE)

    async def has_nothing_beside(self, url: str) -> None:
        """Nothing that the store does not have was ever published."""
        got = set(self.inbox)  # what is published from now on may be stored from now on
        assert got - await published(url) == set()


async def stored(url: str) -> dict[Key, str]:
    """The types of the events in the store."""
    return {(id_, position): type_ for id_, position, type_ in await sql(url, _STORED)}


async def published(url: str) -> set[Key]:
    """The events in the store that go to the broker."""
    routing = HANDRAIL.routing
    return {key for key, type_ in (await stored(url)).items() if routing.exchanges_of(type_)}


@asynccontextmanager
async def another_company(stack: Stack) -> AsyncIterator[OtherCompany]:
    """Its queue is bound to every exchange, before anything was published or later."""
    assert stack.rabbitmq is not None
    assert HANDRAIL.routing.plan is not None
    company = OtherCompany()
    address = f"{stack.rabbitmq.url}/{HANDRAIL.routing.plan.home}"
    async with await aio_pika.connect_robust(address) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(
            _QUEUE, durable=True, arguments={"x-queue-type": "quorum"}
        )
        for exchange in HANDRAIL.routing.exchanges:
            await queue.bind(exchange, "#")

        async def came(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            company.take(message)
            await message.ack()

        await queue.consume(came)
        yield company


@asynccontextmanager
async def exporting(settings: Settings) -> AsyncIterator[None]:
    """An exporter of the lake, begun again whenever it ends, as a supervisor does."""
    stop = asyncio.Event()
    task = asyncio.create_task(_exports(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _exports(settings: Settings, stop: asyncio.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(psycopg.OperationalError):
            await lake_exporter.export(settings, stop)


async def nothing_more_is_written(stack: Stack) -> None:
    """Without workers no step is done, whatever a company or a timer still asks for."""
    for worker in stack.workers:
        await worker.kill()


async def the_lake_is_the_store(settings: Settings, url: str) -> None:
    """Once its exporter has all of it; both are read, and compared row by row."""

    async def all_is_exported() -> bool:
        [(left,)] = await sql(url, _NOT_EXPORTED)
        return bool(left == 0)

    await until(all_is_exported, seconds=_PATIENCE)
    async with (
        open_pool(url, size=1) as pool,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as owner,
    ):
        await Place(url, settings.lake_folder, pool, owner).there_is_everything_once()


@dataclass(frozen=True)
class Messages:
    """To customers, by the provider's names: those that the store says were sent, those that the
    provider carried, and how many are due and were not sent.
    """

    sent: list[str]
    carried: list[str]
    due: int


async def messages(url: str, provider_url: str) -> Messages:
    """Once their consumer has read all that is stored and nothing that is due waits, within reason.
    The store must not grow meanwhile: what is read here is not of one moment.
    """

    async def all_are_sent() -> bool:
        [(unread,)] = await sql(url, _UNREAD_BY_NOTIFICATIONS)
        return unread == 0 and await _due(url) == 0

    with contextlib.suppress(TimeoutError):
        await until(all_are_sent, seconds=_PATIENCE)
    sent = await sql(url, "SELECT provider_id FROM notifications WHERE state = 'sent'")
    async with httpx.AsyncClient(base_url=provider_url, timeout=30) as client:
        carried = (await client.get("/ledger")).json()["messages"]
    return Messages([id_ for (id_,) in sent], [one["id"] for one in carried], await _due(url))


async def _due(url: str) -> int:
    [(due,)] = await sql(
        url,
        "SELECT count(*) FROM notifications WHERE state = 'waiting'"
        " AND due_at < clock_timestamp() + interval '10 minutes'",
    )
    return int(due)
