"""A database with events, a broker with exchanges, and a relay between them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import httpx
import psycopg

from domain.credit.events import CreditHeld
from domain.identifiers import CustomerId, OrderId
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.eventstore.subscriptions.registration import enroll
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.kernel import Event, Message
from handrail.messaging.relay.publisher import Publisher
from handrail.messaging.relay.relay import Relay
from handrail.messaging.relay.routing import Routing
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.unencrypted import a_client

HOME = "commerce"
_PASSWORD = "not-a-secret"
EXCHANGES = ("events", "money", "parcels", "sagas")
BY_CONTEXT = {
    "ordering": ("events",),
    "credit": ("events", "money"),
    "payments": ("events", "money"),
    "settlement": ("events", "money"),
    "inventory": ("events", "parcels"),
    "shipping": ("events", "parcels"),
    "customers": ("events",),
    "sagas": ("sagas",),
}
CONTEXTS = {
    type_: cls.context for type_, cls in HANDRAIL.codec.classes.items() if issubclass(cls, Message)
}


def held(customer: str, order: str) -> CreditHeld:
    return CreditHeld(
        customer=CustomerId(customer),
        order=OrderId(order),
        amount=eur(10),
        held=eur(10),
        used=eur(0),
    )


@dataclass(frozen=True)
class Got:
    """What a reader that knows nothing of us finds in a message."""

    id: str
    stream: str
    version: int
    key: str
    persistent: bool


@dataclass
class Broker:
    """The virtual host as its administrator sees it."""

    amqp: str
    http: httpx.AsyncClient
    queues: set[str] = field(default_factory=set)

    async def begin(self) -> None:
        """An empty virtual host with the exchanges, and queues that get all they publish."""
        await self.http.delete(f"/api/vhosts/{HOME}")
        (await self.http.put(f"/api/vhosts/{HOME}")).raise_for_status()
        for exchange in EXCHANGES:
            await self.declare(exchange)
            await self.bind(exchange)

    async def declare(self, exchange: str) -> None:
        body = {"type": "topic", "durable": True}
        (await self.http.put(f"/api/exchanges/{HOME}/{exchange}", json=body)).raise_for_status()

    async def delete(self, exchange: str) -> None:
        (await self.http.delete(f"/api/exchanges/{HOME}/{exchange}")).raise_for_status()

    async def bind(self, exchange: str, key: str = "#", **arguments: Any) -> None:
        """The queue of the exchange's own name gets what matches."""
        if exchange not in self.queues:
            body = {"durable": True, "arguments": {"x-queue-type": "quorum", **arguments}}
            (await self.http.put(f"/api/queues/{HOME}/{exchange}", json=body)).raise_for_status()
            self.queues.add(exchange)
        where = f"/api/bindings/{HOME}/e/{exchange}/q/{exchange}"
        (await self.http.post(where, json={"routing_key": key})).raise_for_status()

    async def unbind(self, exchange: str) -> None:
        where = f"/api/bindings/{HOME}/e/{exchange}/q/{exchange}"
        for one in (await self.http.get(where)).json():
            gone = await self.http.delete(f"{where}/{one['properties_key']}")
            gone.raise_for_status()

    async def again(self, exchange: str, **arguments: Any) -> None:
        """The exchange's queue anew, with these arguments."""
        (await self.http.delete(f"/api/queues/{HOME}/{exchange}")).raise_for_status()
        self.queues.remove(exchange)
        await self.bind(exchange, **arguments)

    async def user(self, name: str, *, write: str) -> None:
        """Somebody who may write to what matches, and nothing else."""
        body = {"password": _PASSWORD, "tags": ""}
        (await self.http.put(f"/api/users/{name}", json=body)).raise_for_status()
        rights = {"configure": "^$", "write": write or "^$", "read": "^$"}
        where = f"/api/permissions/{HOME}/{name}"
        (await self.http.put(where, json=rights)).raise_for_status()

    def as_user(self, name: str) -> str:
        return f"amqp://{name}:{_PASSWORD}@{self.amqp.rpartition('@')[2]}"

    async def read(self, queue: str) -> Sequence[Got]:
        """All there is, in the order of the queue, which is empty then."""
        got: list[Got] = []
        async with await aio_pika.connect(f"{self.amqp}/{HOME}") as connection:
            source = await (await connection.channel()).get_queue(queue)
            while message := await source.get(no_ack=True, fail=False):
                got.append(_read(message))
        return got


def _read(message: aio_pika.abc.AbstractIncomingMessage) -> Got:
    headers = message.headers
    assert message.message_id == headers["ce-id"]
    assert message.content_type == "application/json"
    return Got(
        id=str(headers["ce-id"]),
        stream=str(headers["ce-stream"]),
        version=int(str(headers["ce-streamversion"])),
        key=str(message.routing_key),
        persistent=message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT,
    )


@dataclass
class World:
    url: str
    owner: Connection
    pool: Pool
    broker: Broker
    publisher: Publisher

    async def append(self, stream: str, *events: Event, codec: Codec = HANDRAIL.codec) -> None:
        store = EventStore(self.pool, codec)
        await store.append([(stream, ANY_VERSION, events)], metadata={"actor": "ann"})

    def follower(
        self,
        publisher: Publisher | None = None,
        *,
        routing: Routing = HANDRAIL.routing,
        codec: Codec = HANDRAIL.codec,
        **options: Any,
    ) -> Subscriber:
        handler = Relay(publisher or self.publisher, routing, codec)
        return Subscriber(self.pool, handler, **{"poll": 0.005, "lease": 1.0, **options})

    async def catch_up(self, **options: Any) -> None:
        async with asyncio.timeout(20):
            await self.follower(**options).catch_up()

    @asynccontextmanager
    async def running(self, *followers: Subscriber) -> AsyncIterator[None]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(one.run(stop)) for one in followers]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the owner of the database, who may do anything."""
        found = await self.owner.execute(query.encode(), values or None)
        return await found.fetchall() if found.description else []

    async def value(self, query: str, *values: Any) -> Any:
        [(value,)] = await self.rows(query, *values)
        return value

    async def parked(self) -> list[tuple[str, str, int]]:
        """Where, which stream, which version: in the order of the events."""
        return await self.rows(
            "SELECT p.projection, e.stream, e.version::int"
            " FROM parked_events p JOIN events e USING (position) ORDER BY e.position, 1"
        )

    async def published_to(self) -> Mapping[str, Sequence[str]]:
        """The ids that each exchange must get, from the events themselves."""
        ids: dict[str, list[str]] = defaultdict(list)
        for stream, version, type_ in await self.rows(
            "SELECT stream, version, type FROM events ORDER BY position"
        ):
            for exchange in BY_CONTEXT[CONTEXTS[type_]]:
                ids[exchange].append(f"{stream}/{version}")
        return ids

    async def seen_all(self) -> bool:
        unseen = await self.value(
            "SELECT count(*) FROM checkpoints c JOIN outbox o ON o.shard = c.shard"
            " WHERE c.projection = 'relay' AND NOT pg_visible_in_snapshot(o.txid, c.since)"
        )
        return bool(unseen == 0)


def in_order(got: Sequence[Got]) -> bool:
    """Whether each stream's versions go up, whatever was between them."""
    last: dict[str, int] = {}
    for one in got:
        if one.version <= last.get(one.stream, 0):
            return False
        last[one.stream] = one.version
    return True


def first_of_each(got: Sequence[Got]) -> Sequence[Got]:
    """Without what came again: what a consumer with an inbox does."""
    first: dict[str, Got] = {}
    for one in got:
        first.setdefault(one.id, one)
    return list(first.values())


@asynccontextmanager
async def a_world(url: str, pool: Pool, amqp: str, management: str) -> AsyncIterator[World]:
    async with a_client(management, timeout=20) as http:
        broker = Broker(amqp, http)
        await broker.begin()
        async with pool.connection() as connection:
            await enroll(connection, "relay")
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as owner,
            Publisher(amqp, HOME) as publisher,
        ):
            yield World(url, owner, pool, broker, publisher)
