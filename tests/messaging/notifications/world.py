"""A database, a provider over HTTP, and what the tests do to both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from psycopg.types.json import Jsonb

from consumers.notifications.handler import handle_at
from consumers.notifications.templates import MESSAGES
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore, Recorded
from handrail.kernel import Event
from handrail.messaging.envelope import received_from_store
from handrail.notifications.notifier import Notifier
from handrail.notifications.provider import HttpProvider
from runtime.app import HANDRAIL
from tests.unencrypted import a_client

ROLE = "handrail_app"
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    url: str
    pool: Pool
    owner: psycopg.AsyncConnection[Any]
    provider_url: str
    provider: httpx.AsyncClient

    async def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """As the owner of the database."""
        cursor = await self.owner.execute(query, parameters)
        return await cursor.fetchall() if cursor.description else []

    async def value(self, query: str, *parameters: Any) -> Any:
        [(value,)] = await self.sql(query, *parameters)
        return value

    async def append(self, stream: str, *events: Event) -> None:
        store = EventStore(self.pool, HANDRAIL.codec)
        await store.append([(stream, ANY_VERSION, events)], metadata={"actor": "ann"})

    async def hear(self, *streams: str, now: datetime | None = None) -> None:
        """Hand all events of these streams to the consumer, each in a transaction of its own."""
        for stream in streams:
            found = await self.sql(
                "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
                " FROM events WHERE stream = %s ORDER BY version",
                stream,
            )
            for row in found:
                async with self.pool.connection() as connection, connection.transaction():
                    received = received_from_store(Recorded(*row), HANDRAIL.codec)
                    await handle_at(connection, received, now or datetime.now(UTC))

    async def knows(self, customer: str, **how: Any) -> None:
        """By default a customer with a phone and a mailbox, who has chosen nothing."""
        row = {
            "language": "en",
            "time_zone": "UTC",
            "push": "device",
            "sms": "+49151000",
            "email": "mail@example.org",
            "changed_by": "test",
            "quiet_from": None,
            "quiet_until": None,
            **how,
            "choices": Jsonb(how.get("choices", {})),
        }
        await self.sql(
            f"INSERT INTO notification_contacts (customer, {', '.join(row)})"
            f" VALUES (%s{', %s' * len(row)})",
            customer,
            *row.values(),
        )

    async def enqueue(self, source: str, customer: str, **how: Any) -> None:
        """One message as it stands in the queue, due for a minute."""
        row = {
            "lane": "transactional",
            "channel": "email",
            "kind": "order-confirmed",
            "language": "en",
            "subject": "Subject",
            "body": f"About {source}",
            "state": "waiting",
            "due_at": datetime.now(UTC) - timedelta(minutes=1),
            **how,
        }
        await self.sql(
            f"INSERT INTO notifications (source, customer, {', '.join(row)})"
            f" VALUES (%s, %s{', %s' * len(row)})",
            source,
            customer,
            *row.values(),
        )

    async def states(self, column: str = "state") -> dict[tuple[str, str], Any]:
        found = await self.sql(f"SELECT source, channel, {column} FROM notifications")
        return {(source, channel): value for source, channel, value in found}

    async def carried(self) -> list[dict[str, Any]]:
        """What the provider says that it carried, in that order."""
        messages: list[dict[str, Any]] = (await self.provider.get("/ledger")).json()["messages"]
        return messages

    async def limit(self, per_second: float | None) -> None:
        await self.provider.post("/limit", json={"per_second": per_second})

    @asynccontextmanager
    async def notifiers(self, number: int = 1, **options: Any) -> AsyncIterator[list[Notifier]]:
        options = {"poll": 0.01, "backoff": 0.01, **options}
        async with a_client(self.provider_url) as client:
            yield [
                Notifier(self.pool, HttpProvider(client), MESSAGES, **options)
                for _ in range(number)
            ]

    @asynccontextmanager
    async def notifying(self, number: int = 1, **options: Any) -> AsyncIterator[list[Notifier]]:
        stop = asyncio.Event()
        async with self.notifiers(number, **options) as notifiers:
            tasks = [asyncio.create_task(one.run(stop)) for one in notifiers]
            try:
                yield notifiers
            finally:
                stop.set()
                await asyncio.gather(*tasks)

    async def nothing_waits(self) -> bool:
        """Nothing that is due, or being sent."""
        soon = datetime.now(UTC) + timedelta(minutes=10)
        query = "SELECT count(*) FROM notifications WHERE state = 'waiting' AND due_at < %s"
        return bool(await self.value(query, soon) == 0)


@asynccontextmanager
async def a_world(url: str, provider_url: str) -> AsyncIterator[World]:
    async with (
        open_pool(url, role=ROLE, size=12) as pool,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as owner,
        a_client(provider_url, timeout=30) as provider,
    ):
        await owner.execute("SET synchronous_commit = off")
        yield World(url, pool, owner, provider_url, provider)


def sent_twice(carried: Sequence[dict[str, Any]]) -> list[str]:
    keys = [one["key"] for one in carried]
    return [key for key in set(keys) if keys.count(key) > 1]
