"""Whatever the broker does, nothing counts as published that is not, and the relay goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from handrail.messaging.relay.publisher import NotPublished, Publisher
from handrail.messaging.relay.retry_parked import retry
from runtime.app import HANDRAIL
from tests.messaging.relay.test_unroutable import got, holds, ids
from tests.messaging.relay.wire import a_wire
from tests.messaging.relay.world import HOME, World, first_of_each, in_order
from tests.projections.world import until


@contextlib.asynccontextmanager
async def told(world: World, what: str) -> AsyncIterator[None]:
    """Ends once the relay has said so."""
    with capture_logs() as lines:
        yield

        async def said() -> bool:
            return any(what in str(line.get("error")) for line in lines)

        await until(said)


async def test_a_full_queue_is_waited_for(world: World) -> None:
    await world.broker.again("money", **{"x-max-length": 3, "x-overflow": "reject-publish"})

    async with world.running(world.follower()):
        async with told(world, "did not take it"):
            await holds(world, "ann", 12)
        assert await world.parked() == []
        received: list[str] = []
        while len(received) < 12:
            received += await got(world, "money")
        await until(world.seen_all)

    assert list(dict.fromkeys(received)) == ids("ann", 12)
    assert await got(world, "events") == ids("ann", 12), "what it has was not sent again"


async def test_an_exchange_that_is_missing_is_waited_for(world: World) -> None:
    await world.broker.delete("money")

    async with world.running(world.follower()):
        async with told(world, "`handrail topology apply` makes what is missing"):
            await holds(world, "ann", 3)
        assert await world.parked() == []
        assert not await world.seen_all()
        await world.broker.declare("money")
        await world.broker.bind("money")
        await until(world.seen_all)

    assert await got(world, "money") == ids("ann", 3)
    assert first_of_each(await world.broker.read("events"))


async def test_a_connection_that_is_cut_again_and_again_is_made_again(world: World) -> None:
    async with (
        a_wire(world.broker.amqp) as wire,
        Publisher(wire.url, HOME) as publisher,
        world.running(world.follower(publisher, page=10)),
    ):
        for number in range(5):
            await holds(world, "ann", 10, first=1 + 10 * number)
            await until(_more_than(publisher, publisher.counted.confirmed))
            await wire.cut()
        await until(world.seen_all)

    assert publisher.counted.connected == 6
    for exchange in ("events", "money"):
        once = first_of_each(await world.broker.read(exchange))
        assert [one.id for one in once] == ids("ann", 50)
        assert in_order(once)


def _more_than(publisher: Publisher, confirmed: int) -> Callable[[], Awaitable[bool]]:
    async def so() -> bool:
        return publisher.counted.confirmed > confirmed

    return so


async def test_a_user_without_rights_is_told_what_to_do(world: World) -> None:
    await world.broker.user("stranger", write="")

    async with (
        Publisher(world.broker.as_user("stranger"), HOME) as publisher,
        world.running(world.follower(publisher)),
        told(world, "`handrail topology apply` gives users their passwords and rights"),
    ):
        await holds(world, "ann", 1)

    assert await got(world, "money") == []


async def test_a_broker_that_is_not_there_loses_nothing(world: World) -> None:
    nobody_there = "amqp://guest:guest@127.0.0.1:1"
    async with Publisher(nobody_there, HOME) as lonely:
        follower = world.follower(lonely)
        async with world.running(follower), told(world, "Connect call failed"):
            await holds(world, "ann", 2)
        await world.broker.unbind("money")
        await world.catch_up()
        with pytest.raises(NotPublished):
            await retry(world.pool, lonely, HANDRAIL.routing)

    assert await got(world, "events") == ids("ann", 2)
    assert [one[2] for one in await world.parked()] == [1, 2]


async def test_a_message_that_is_confirmed_after_the_relay_was_told_to_stop_is_not_lost(
    world: World,
) -> None:
    """It is published by whoever goes on, once more at most."""
    stop = asyncio.Event()
    working = asyncio.create_task(world.follower().run(stop))
    await holds(world, "ann", 30)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)

    await world.catch_up()

    once = first_of_each(await world.broker.read("money"))
    assert [one.id for one in once] == ids("ann", 30)


async def test_the_relay_never_declares_anything(world: World) -> None:
    """The topology is somebody else's: with a user who may only write, it works all the same."""
    await world.broker.user("relay", write=".*")

    async with Publisher(world.broker.as_user("relay"), HOME) as publisher:
        await holds(world, "ann", 1)
        await world.follower(publisher).catch_up()

    assert await got(world, "money") == ids("ann", 1)
