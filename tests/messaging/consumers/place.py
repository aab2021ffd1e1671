"""A database with events and a consumer that writes down what it handles, in the order it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from domain.identifiers import OrderId
from domain.ordering.events import OrderConfirmed, OrderRejected
from handrail.eventstore.pool import Connection, open_pool
from handrail.eventstore.store import Recorded
from handrail.kernel import Event
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.envelope import Received, received_from_store
from runtime.app import HANDRAIL
from tests.projections.world import ROLE, World, stuck, until

NOTES = """
CREATE TABLE notes (
    number bigint GENERATED ALWAYS AS IDENTITY, consumer text, stream text, version bigint
);
GRANT SELECT, INSERT ON notes TO handrail_app;
"""


@dataclass
class Notebook:
    """A consumer whose handler can be told to fail."""

    name: str = "notebook"
    queue: str = "notes"
    vhost: str = "finance"
    ordered: bool = True
    wants: tuple[type[Event], ...] = (OrderConfirmed, OrderRejected)
    failing: dict[str, Exception | int] = field(default_factory=dict)
    """By id: what is raised, or how many times it fails before it does not."""
    decodes: bool = False
    """Whether it looks at what is in the event."""
    tried: list[str] = field(default_factory=list)
    during: Callable[[Received], Awaitable[None]] | None = None
    """Awaited in the middle of the transaction, after the effect."""

    @property
    def consumer(self) -> Consumer:
        return Consumer(
            name=self.name,
            vhost=self.vhost,
            queue=self.queue,
            ordered=self.ordered,
            wants=self.wants,
            handle=self.handle,
        )

    async def handle(self, connection: Connection, received: Received) -> None:
        self.tried.append(received.id)
        if self.decodes:
            assert received.event
        await connection.execute(
            "INSERT INTO notes (consumer, stream, version) VALUES (%s, %s, %s)",
            (self.name, received.stream, received.version),
        )
        if self.during:
            await self.during(received)
        match self.failing.get(received.id):
            case Exception() as error:
                raise error
            case int(times) if times > 0:
                self.failing[received.id] = times - 1
                raise KeyError("nobody thought of this")
            case _:
                pass


@dataclass(frozen=True)
class Place(World):
    async def confirms(self, *orders: str) -> None:
        """One event for each, in this order."""
        for order in orders:
            await self.append(f"order-{order}", OrderConfirmed(order=OrderId(order)))

    async def messages(self, *streams: str) -> Sequence[Received]:
        """What is stored, in the order of its positions."""
        found = await self.sql(
            "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
            " FROM events WHERE cardinality(CAST(:streams AS text[])) = 0"
            " OR stream = ANY (CAST(:streams AS text[])) ORDER BY position",
            streams=list(streams),
        )
        return [received_from_store(Recorded(*row), HANDRAIL.codec) for row in found]

    async def noted(self, consumer: str = "notebook") -> list[str]:
        """The ids of what had its effect, in the order it had it."""
        found = await self.sql(
            "SELECT stream || '/' || version FROM notes WHERE consumer = :name ORDER BY number",
            name=consumer,
        )
        return [id_ for (id_,) in found]

    async def noted_of(self, order: str, consumer: str = "notebook") -> list[str]:
        return [id_ for id_ in await self.noted(consumer) if id_.startswith(f"order-{order}/")]

    async def inbox(self, consumer: str = "notebook") -> set[str]:
        found = await self.sql("SELECT id FROM inbox WHERE consumer = :name", name=consumer)
        return {id_ for (id_,) in found}

    async def parked(self, consumer: str = "notebook") -> list[tuple[str, str]]:
        """What waits: id and cause."""
        found = await self.sql(
            "SELECT stream || '/' || version, cause FROM parked_messages"
            " WHERE consumer = :name AND settled_at IS NULL ORDER BY stream, version",
            name=consumer,
        )
        return [(id_, cause) for id_, cause in found]

    async def until_stuck(self, count: int) -> None:
        """So many wait for a lock of somebody else."""

        async def so_many() -> bool:
            return len(await stuck(self)) == count

        await until(so_many)


def ids(order: str, *versions: int) -> list[str]:
    return [f"order-{order}/{version}" for version in versions]


@asynccontextmanager
async def a_place(url: str) -> AsyncIterator[Place]:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        async with open_pool(url, role=ROLE, size=20) as pool:
            yield Place(url, pool, engine)
    finally:
        await engine.dispose()


async def together(*work: Awaitable[Any]) -> list[Any]:
    async with asyncio.timeout(10):
        return await asyncio.gather(*work)
