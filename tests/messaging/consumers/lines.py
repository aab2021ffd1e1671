"""The two ways on which events reach a consumer, for tests that must hold on both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, Protocol, TypeAlias

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection

from handrail.eventstore.codec import Codec
from handrail.eventstore.store import Recorded
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.messaging.cloud_events import message_of
from handrail.messaging.consumers.queue_consumer import Consuming
from handrail.messaging.consumers.store_consumer import Feeding
from runtime.app import HANDRAIL
from tests.messaging.consumers.place import Notebook, Place
from tests.projections.world import until

FAST: Final[dict[str, Any]] = {"pause": 0.01}
Process: TypeAlias = Consuming | Subscriber
_numbers = count(1)


class Line(Protocol):
    """Brings what is stored to the processes of one consumer."""

    def process(self, codec: Codec = HANDRAIL.codec, **options: Any) -> Process: ...

    async def send(self) -> None:
        """What was stored since the last time is on its way."""


class FeedLine:
    def __init__(self, place: Place, notebook: Notebook) -> None:
        self._place = place
        self._notebook = notebook

    def process(self, codec: Codec = HANDRAIL.codec, **_: Any) -> Feeding:
        return Feeding(self._place.pool, self._notebook.consumer, codec, poll=0.005, lease=1.0)

    async def send(self) -> None:
        """The feed finds it by itself."""


class BrokerLine:
    """A quorum queue of its own; it sends what the relay would publish."""

    def __init__(
        self, place: Place, notebook: Notebook, url: str, connection: AbstractConnection
    ) -> None:
        self.place = place
        self.notebook = notebook
        self.url = url
        self.connection = connection
        self.channel: AbstractChannel
        self.dead = f"{notebook.queue}.dead"
        self._sent = 0

    async def declare(self) -> None:
        self.channel = await self.connection.channel()
        await self.channel.declare_queue(
            self.dead, durable=True, arguments={"x-queue-type": "quorum"}
        )
        await self.declare_queue()

    async def declare_queue(self) -> None:
        await self.channel.declare_queue(
            self.notebook.queue,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-single-active-consumer": self.notebook.ordered,
                "x-delivery-limit": 5,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": self.dead,
            },
        )

    async def delete_queue(self) -> None:
        await self.channel.queue_delete(self.notebook.queue)

    async def lose(self) -> None:
        """What is in the queue is gone."""
        await (await self.channel.get_queue(self.notebook.queue)).purge()

    def process(self, codec: Codec = HANDRAIL.codec, **options: Any) -> Consuming:
        return Consuming(
            self.place.pool, self.notebook.consumer, codec, self.url, **{**FAST, **options}
        )

    async def send(self, *, again: bool = False) -> None:
        if again:
            self._sent = 0
        await self.send_these(await self.stored())

    async def stored(self) -> list[Recorded]:
        """What was not sent yet."""
        found = await self.place.sql(
            "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
            " FROM events WHERE position > :sent ORDER BY position",
            sent=self._sent,
        )
        return [Recorded(*row) for row in found]

    async def send_these(self, events: list[Recorded]) -> None:
        for recorded in events:
            headers, body, content_type = message_of(recorded, HANDRAIL.routing)
            await self.publish(body, headers=headers, content_type=content_type)
            self._sent = recorded.position

    async def publish(self, body: bytes, **properties: Any) -> None:
        message = aio_pika.Message(
            body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **properties
        )
        await self.channel.default_exchange.publish(message, self.notebook.queue)

    async def waiting(self, queue: str = "") -> int:
        """How many messages are ready; those that are held by a process are not."""
        channel = await self.connection.channel()
        async with channel:
            found = await channel.declare_queue(queue or self.notebook.queue, passive=True)
            return found.declaration_result.message_count or 0


@asynccontextmanager
async def broker_line(place: Place, notebook: Notebook, url: str) -> AsyncIterator[BrokerLine]:
    """`url` leads to a virtual host in which the queue may be declared."""
    notebook.queue = f"notes-{next(_numbers)}"
    async with await aio_pika.connect(url) as connection:
        line = BrokerLine(place, notebook, url, connection)
        await line.declare()
        yield line
        await line.channel.queue_delete(notebook.queue)
        await line.channel.queue_delete(line.dead)


@asynccontextmanager
async def running(*processes: Process) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(process.run(stop)) for process in processes]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks)


@asynccontextmanager
async def killed(process: Process) -> AsyncIterator[None]:
    """At the end it is gone, in whatever it was doing."""
    task = asyncio.create_task(process.run(asyncio.Event()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def all_settled(place: Place, consumer: str = "notebook", *, seconds: float = 15) -> None:
    """Every event that is stored was handled or is parked."""

    async def settled() -> bool:
        [(left,)] = await place.sql(
            "SELECT count(*) FROM events e WHERE NOT EXISTS (SELECT FROM inbox i"
            " WHERE i.consumer = :name AND i.id = e.stream || '/' || e.version)"
            " AND NOT EXISTS (SELECT FROM parked_messages p WHERE p.consumer = :name"
            " AND p.stream = e.stream AND p.version = e.version)",
            name=consumer,
        )
        return bool(left == 0)

    await until(settled, seconds=seconds)
