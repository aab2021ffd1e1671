"""A database, endpoints of merchants in it, and dispatchers with the rights of their own login."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from domain.identifiers import OrderId
from domain.ordering.events import OrderCompleted, OrderConfirmed
from handrail.database_engine import open_engine
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.eventstore.subscriptions.registration import enroll
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.http.database import Database
from handrail.kernel import Event
from handrail.privacy.keys import CachedKeys
from handrail.privacy.texts import PersonalTexts
from handrail.processes.dispatcher import audited
from handrail.subject_keys.key_file import make, read
from handrail.subject_keys.key_table import TableKeys
from handrail.webhook_endpoints import deliveries, endpoints
from handrail.webhook_endpoints.addresses import AddressPolicy
from handrail.webhook_endpoints.dispatcher import Dispatcher
from handrail.webhook_endpoints.endpoints import Endpoint, NewEndpoint, WithSecret
from handrail.webhook_endpoints.fan_out import FOLLOWER, FanOut
from handrail.webhook_endpoints.retry_policy import RetryPolicy
from handrail.webhook_endpoints.sender import Sender
from runtime.app import HANDRAIL
from tests.projections.world import until
from tests.webhook_endpoints.receiver import Receiver

DISPATCHER = "handrail_dispatcher"
CONFIRMED, COMPLETED = "ordering.OrderConfirmed.v1", "ordering.OrderCompleted.v1"
AT_ONCE = RetryPolicy(first=0.02, longest=0.2, parks_after=60, disables_after=60, rests=0.1)
OFFERED = HANDRAIL.offered_events
HERE = AddressPolicy(development=True)


def confirmed(order: str) -> OrderConfirmed:
    return OrderConfirmed(order=OrderId(order))


def completed(order: str) -> OrderCompleted:
    at = datetime.fromisoformat("2026-05-01T00:00:00Z")
    return OrderCompleted(order=OrderId(order), completed_at=at)


@dataclass(frozen=True)
class World:
    url: str
    pool: Pool
    owner: psycopg.AsyncConnection[Any]
    database: Database
    texts: PersonalTexts
    store: EventStore

    async def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """As the owner of the database."""
        cursor = await self.owner.execute(query, parameters)
        return await cursor.fetchall() if cursor.description else []

    async def value(self, query: str, *parameters: Any) -> Any:
        [(value,)] = await self.sql(query, *parameters)
        return value

    async def append(self, merchant: str, stream: str, *events: Event) -> None:
        await self.append_to(merchant, {stream: events})

    async def append_to(self, merchant: str, events: Mapping[str, Sequence[Event]]) -> None:
        """Events by stream, in one transaction."""
        metadata = {"actor": "ann", "merchant": merchant}
        appended = [(stream, ANY_VERSION, some) for stream, some in events.items()]
        await self.store.append(appended, metadata=metadata)

    async def register(self, merchant: str, receiver: Receiver | str, *events: str) -> WithSecret:
        url = receiver if isinstance(receiver, str) else receiver.url
        new = NewEndpoint(
            tenant=merchant, url=url, description="", events=events or (CONFIRMED, COMPLETED)
        )
        async with self.database.connection() as connection:
            made = await endpoints.register(connection, self.texts, new, by="test", most=10)
        assert made is not None
        if isinstance(receiver, Receiver) and receiver.secrets is None:
            receiver.secrets = [made.secret]
        return made

    async def rotate(self, endpoint: Endpoint, overlap: timedelta) -> str:
        async with self.database.connection() as connection:
            made = await endpoints.rotate(connection, self.texts, endpoint, overlap=overlap)
        assert made is not None
        return made.secret

    async def enable(self, endpoint: Endpoint) -> None:
        async with self.database.connection() as connection:
            await endpoints.enable(connection, endpoint.id, by="test", reason="mended")

    async def send_again(self, endpoint: Endpoint, id_: str | None = None) -> int:
        async with self.database.connection() as connection:
            return await deliveries.send_again(connection, endpoint.id, id_)

    async def discard(self, endpoint: Endpoint, id_: str) -> bool:
        async with self.database.connection() as connection:
            return await deliveries.discard(connection, endpoint.id, id_, by="test")

    async def states(self, endpoint: Endpoint) -> list[str]:
        """Of its deliveries, in the order of the events."""
        found = await self.sql(
            "SELECT state FROM webhook_deliveries WHERE endpoint = %s ORDER BY position",
            endpoint.id,
        )
        return [state for (state,) in found]

    async def fan_out(self) -> None:
        """Whatever is stored by now is among the deliveries afterwards."""
        async with self.pool.connection() as connection:
            await enroll(connection, FOLLOWER)
        await Subscriber(self.pool, FanOut(OFFERED)).catch_up()

    @asynccontextmanager
    async def dispatching(
        self,
        *,
        policy: RetryPolicy = AT_ONCE,
        addresses: AddressPolicy = HERE,
        seconds: float = 5,
        sender: dict[str, Any] | None = None,
        **options: Any,
    ) -> AsyncIterator[Dispatcher]:
        """A dispatcher that follows the feed, as its process does."""
        async with self.pool.connection() as connection:
            await enroll(connection, FOLLOWER)
        stop = asyncio.Event()
        async with Sender(
            addresses, connect_seconds=seconds, total_seconds=seconds, **(sender or {})
        ) as sending:
            dispatcher = Dispatcher(
                self.pool,
                sending,
                OFFERED,
                self.texts,
                audited(self.pool, HANDRAIL.codec),
                policy=policy,
                **{"poll": 0.02, **options},
            )
            follower = Subscriber(self.pool, FanOut(OFFERED))
            running = [
                asyncio.create_task(follower.run(stop)),
                asyncio.create_task(dispatcher.run(stop, finish=1)),
            ]
            try:
                yield dispatcher
            finally:
                stop.set()
                await asyncio.gather(*running)

    async def is_settled(self, *of: Endpoint) -> bool:
        """Nothing waits, at these endpoints or at any."""
        ids = [one.id for one in of]
        return bool(
            await self.value(
                "SELECT count(*) = 0 FROM webhook_deliveries WHERE state = 'waiting'"
                " AND (endpoint = ANY (%s) OR %s)",
                ids,
                not ids,
            )
        )


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Of the keys that seal secrets, for this process and others."""
    file = tmp_path / "subject-keys"
    make(file)
    return file


@pytest.fixture
async def world(database: str, key_file: Path) -> AsyncIterator[World]:
    async with a_world(database, key_file) as world:
        yield world


@asynccontextmanager
async def a_world(url: str, key_file: Path) -> AsyncIterator[World]:
    async with (
        open_pool(url, role=DISPATCHER, size=12) as pool,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as owner,
        open_engine(url, role="handrail_api", size=4) as engine,
        open_pool(url, role="handrail_app", size=2) as keys,
        open_pool(url, role="handrail_worker", size=2) as worker,
    ):
        texts = PersonalTexts(CachedKeys(TableKeys(keys, read(key_file)), seconds=60))
        store = EventStore(worker, HANDRAIL.codec, texts)
        yield World(url, pool, owner, Database(engine), texts, store)


async def eventually_got(receiver: Receiver, count: int, seconds: float = 60) -> None:
    """Wait until it has taken so many."""

    async def enough() -> bool:
        return len(receiver.got) >= count

    await until(enough, seconds=seconds)
