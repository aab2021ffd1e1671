"""The broker is killed and starved under a relay that publishes."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from handrail.dev.rabbitmq import EmbeddedRabbitMQ, is_installed
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.messaging.relay.publisher import Publisher
from runtime.app import HANDRAIL
from tests.messaging.relay.test_unroutable import got, holds, ids
from tests.messaging.relay.world import HOME, World, a_world, first_of_each, held, in_order
from tests.projections.world import until
from tests.servers.broker import REQUIRED

pytestmark = pytest.mark.journey

EVENTS = 10_000
STREAMS = 400
KILLS = 10


@pytest.fixture
async def own_broker(tmp_path: Path) -> AsyncIterator[EmbeddedRabbitMQ]:
    """One that nobody else uses."""
    if not is_installed() and os.environ.get(REQUIRED) != "1":
        pytest.skip("NOT TESTED: rabbitmq-server is not installed (apt-get install it)")
    server = EmbeddedRabbitMQ(tmp_path / "rabbitmq")
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def world(database: str, own_broker: EmbeddedRabbitMQ) -> AsyncIterator[World]:
    async with (
        open_pool(database, role="handrail_app", size=20) as pool,
        a_world(database, pool, own_broker.url, own_broker.management_url) as one,
    ):
        yield one


async def append(world: World) -> None:
    store = EventStore(world.pool, HANDRAIL.codec)
    numbers = iter(range(EVENTS // STREAMS))

    async def work() -> None:
        for number in numbers:
            one_each = [
                (f"credit-{customer}", ANY_VERSION, [held(str(customer), str(number))])
                for customer in range(STREAMS)
            ]
            await store.append(one_each, metadata={"actor": "ann"})

    await asyncio.gather(*(work() for _ in range(4)))


async def test_a_broker_that_is_killed_ten_times_under_ten_thousand_events_loses_none(
    world: World, own_broker: EmbeddedRabbitMQ
) -> None:
    await append(world)
    counted = world.publisher.counted
    async with world.running(world.follower(page=500)):
        for kill in range(1, KILLS + 1):
            part = 2 * EVENTS * kill // (KILLS + 1)

            async def is_at_work() -> bool:
                return counted.confirmed >= part  # noqa: B023  # asked at once

            await until(is_at_work, seconds=60)
            await own_broker.kill()
            assert not await world.seen_all(), "it was killed too late to matter"
            await own_broker.start()
        await until(world.seen_all, seconds=60)

    wanted = await world.published_to()
    assert len(wanted["events"]) == EVENTS
    assert counted.connected >= KILLS
    assert await world.parked() == []
    for exchange in ("events", "money"):
        received = await world.broker.read(exchange)
        once = first_of_each(received)
        assert len(once) == EVENTS
        assert {one.id for one in once} == set(wanted[exchange])
        assert in_order(once)


async def test_a_broker_that_wants_for_memory_is_waited_for(
    world: World, own_broker: EmbeddedRabbitMQ
) -> None:
    async with (
        Publisher(own_broker.url, HOME) as publisher,
        world.running(world.follower(publisher)),
    ):
        await holds(world, "ann", 1)
        await until(world.seen_all)
        await memory_limit(own_broker, "0.000001")
        await holds(world, "ann", 5, first=2)  # which makes the broker notice
        await until(publisher.blocked)
        assert not await world.seen_all()
        await memory_limit(own_broker, "0.6")
        await until(world.seen_all)
        assert not await publisher.blocked()
        assert publisher.counted.connected == 1

    assert await got(world, "money") == ids("ann", 6)


async def memory_limit(broker: EmbeddedRabbitMQ, fraction: str) -> None:
    control = shutil.which("rabbitmqctl", path="/usr/lib/rabbitmq/bin") or "rabbitmqctl"
    process = await asyncio.create_subprocess_exec(
        control,
        "set_vm_memory_high_watermark",
        fraction,
        env={**broker._environment(), "PATH": "/usr/bin:/bin:/usr/lib/rabbitmq/bin"},
    )
    assert await process.wait() == 0
