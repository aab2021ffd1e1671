"""The broker is killed again and again while messages go through it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import aio_pika
import pytest
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.eventstore.store import Recorded
from handrail.messaging.cloud_events import message_of
from runtime.app import HANDRAIL
from tests.messaging.consumers.lines import BrokerLine, all_settled, running
from tests.messaging.consumers.place import Notebook, Place, ids
from tests.projections.world import until

KILLS, ORDERS, EACH = 5, 20, 100
"""Two thousand messages, of twenty streams."""


@pytest.mark.journey
async def test_a_broker_that_is_killed_loses_nothing_and_doubles_nothing(
    place: Place, notebook: Notebook, tmp_path: Path, broker: EmbeddedRabbitMQ
) -> None:
    """`broker` says whether there can be one at all; this kills one of its own."""
    assert broker.running
    async with EmbeddedRabbitMQ(tmp_path / "rabbitmq") as server:
        url = f"{server.url}/%2F"
        async with await aio_pika.connect(url) as connection:
            await BrokerLine(place, notebook, url, connection).declare()
            await known_for_good(tmp_path / "rabbitmq", notebook.queue)
        for _ in range(EACH):
            await place.confirms(*(f"o{number}" for number in range(ORDERS)))
        first, second = (BrokerLine(place, notebook, url, connection).process() for _ in range(2))
        async with running(first, second):
            sending = asyncio.create_task(send_all(place, notebook, url))
            for number in range(KILLS):
                await handled(place, (number + 1) * 300)
                await server.kill()
                await server.start()
            await sending
            await all_settled(place, seconds=60)

    assert await place.parked() == []
    for number in range(ORDERS):
        assert await place.noted_of(f"o{number}") == ids(f"o{number}", *range(1, EACH + 1))
    assert first.counted.subscriptions + second.counted.subscriptions > KILLS


async def known_for_good(folder: Path, queue: str) -> None:
    """RabbitMQ writes the names of its quorum queues down some seconds after it has confirmed them,
    and does not find the messages of one again that it had not written down when it was killed.
    """

    await until(lambda: asyncio.to_thread(_is_written_down, folder, queue))


def _is_written_down(folder: Path, queue: str) -> bool:
    [names] = folder.glob("mnesia/*/quorum/*/names.dets")
    return re.search(rf"_{queue}(?!\.dead)".encode(), names.read_bytes()) is not None


async def send_all(place: Place, notebook: Notebook, url: str) -> None:
    """As the relay does: in order, each again until the broker has confirmed it."""
    rows = await place.sql(
        "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
        " FROM events ORDER BY position"
    )
    left = [Recorded(*row) for row in rows]
    while left:
        with contextlib.suppress(*CONNECTION_EXCEPTIONS, TimeoutError):
            async with await aio_pika.connect(url, timeout=5) as connection:
                channel = await connection.channel()
                while left:
                    headers, body, content_type = message_of(left[0], HANDRAIL.routing)
                    message = aio_pika.Message(
                        body,
                        headers=dict(headers),
                        content_type=content_type,
                        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    )
                    await channel.default_exchange.publish(message, notebook.queue, timeout=5)
                    del left[0]
        await asyncio.sleep(0.05)


async def handled(place: Place, count: int) -> None:
    async def so_many() -> bool:
        return bool(await place.value("SELECT count(*) >= :count FROM notes", count=count))

    await until(so_many, seconds=60)
