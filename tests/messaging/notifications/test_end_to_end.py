"""From the store to the customer's mailbox, on both ways on which events come."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aio_pika

from consumers.notifications.handler import CONSUMER
from domain.identifiers import OrderId
from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.eventstore.store import Recorded
from handrail.messaging.cloud_events import message_of
from handrail.messaging.consumers.queue_consumer import Consuming
from handrail.messaging.consumers.store_consumer import Feeding
from runtime.app import HANDRAIL
from tests.messaging.consumers.lines import running
from tests.messaging.notifications.world import World, sent_twice
from tests.projections.stories import Shop
from tests.projections.world import until

# What Shop tells: an order that is sold, delivered and sent back, and one that is refused.
TOLD = Counter(
    {
        ("order-o1", "order-confirmed", "push"): 1,
        ("order-o1", "order-confirmed", "email"): 1,
        ("shipment-o1", "shipment-dispatched", "push"): 1,
        ("shipment-o1", "shipment-delivered", "push"): 1,
        ("order-o1", "return-accepted", "push"): 1,
        ("order-o1", "return-accepted", "email"): 1,
        ("order-o2", "order-rejected", "push"): 1,
        ("order-o2", "order-rejected", "email"): 1,
    }
)
QUEUE = "notifications-end-to-end"


async def stored(world: World) -> None:
    shop = Shop()
    await world.knows(shop.customer)
    for story in (
        shop.opens(),
        shop.sells(OrderId("o1")),
        shop.takes_back(OrderId("o1")),
        shop.is_refused(OrderId("o2")),
    ):
        for stream, events in story:
            await world.append(stream, *events)


async def arrived(world: World) -> bool:
    return len(await world.carried()) >= TOLD.total()


async def as_told(world: World) -> Counter[tuple[str, str, str]]:
    found = await world.sql(
        "SELECT split_part(source, '/', 1), kind, channel FROM notifications WHERE state = 'sent'"
    )
    return Counter(found)


async def test_without_a_broker_customers_hear_of_what_is_stored(world: World) -> None:
    await stored(world)
    feeds = [Feeding(world.pool, CONSUMER, HANDRAIL.codec, poll=0.005, lease=1.0) for _ in range(2)]
    async with running(*feeds), world.notifying(2):
        await until(lambda: arrived(world))
        await until(world.nothing_waits)
    assert await as_told(world) == TOLD
    assert not sent_twice(await world.carried())


async def test_by_a_broker_that_delivers_all_of_it_twice_they_hear_the_same(
    world: World, broker: EmbeddedRabbitMQ
) -> None:
    await stored(world)
    url = f"{broker.url}/%2F"
    consumer = replace(CONSUMER, queue=QUEUE)
    async with (
        published_twice(world, url),
        running(Consuming(world.pool, consumer, HANDRAIL.codec, url)),
        world.notifying(2),
    ):
        await until(lambda: arrived(world))
        await until(world.nothing_waits)
        await until(lambda: is_empty(url))
    assert await as_told(world) == TOLD
    assert not sent_twice(await world.carried())


@asynccontextmanager
async def published_twice(world: World, url: str) -> AsyncIterator[None]:
    found = await world.sql(
        "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
        " FROM events ORDER BY position"
    )
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(
            QUEUE, durable=True, arguments={"x-queue-type": "quorum"}
        )
        for row in (*found, *found):
            recorded = Recorded(*row)
            if recorded.type in CONSUMER.types:
                headers, body, content_type = message_of(recorded, HANDRAIL.routing)
                message = aio_pika.Message(body, headers={**headers}, content_type=content_type)
                await channel.default_exchange.publish(message, QUEUE)
        yield
        await queue.delete(if_unused=False, if_empty=False)


async def is_empty(url: str) -> bool:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(QUEUE, passive=True)
        return queue.declaration_result.message_count == 0
