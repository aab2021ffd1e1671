"""What no queue would get waits, in order, for that exchange alone; a command drains it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from handrail.eventstore.codec import Codec
from handrail.eventstore.newer_code_decisions import decide
from handrail.kernel import Attribution, Event
from handrail.messaging import cloud_events
from handrail.messaging.relay.parked_messages import RELAY
from handrail.messaging.relay.publisher import Message, Publisher
from handrail.messaging.relay.retry_parked import retry
from runtime.app import HANDRAIL
from tests.messaging.relay.world import HOME, World, held, in_order
from tests.messaging.routed import routed
from tests.projections.world import until


async def holds(world: World, customer: str, count: int, first: int = 1) -> None:
    """So many events, one after the other, of one stream."""
    for number in range(first, first + count):
        await world.append(f"credit-{customer}", held(customer, str(number)))


def ids(customer: str, last: int, first: int = 1) -> list[str]:
    return [f"credit-{customer}/{version}" for version in range(first, last + 1)]


async def got(world: World, exchange: str) -> list[str]:
    return [one.id for one in await world.broker.read(exchange)]


async def causes(world: World) -> list[str]:
    return [
        cause for (cause,) in await world.rows("SELECT cause FROM parked_events ORDER BY position")
    ]


async def test_of_two_exchanges_only_the_one_that_leads_nowhere_is_parked_for(
    world: World,
) -> None:
    await world.broker.unbind("money")
    await holds(world, "ann", 1)

    await world.catch_up()

    assert await got(world, "events") == ["credit-ann/1"]
    assert await world.parked() == [("relay/money", "credit-ann", 1)]
    assert await causes(world) == [
        "unroutable: NO_ROUTE for credit.CreditHeld.v1 at exchange money"
    ]
    counted = world.publisher.counted
    assert (counted.published, counted.confirmed, counted.returned, counted.parked) == (2, 1, 1, 1)


@pytest.mark.quick(1)
@pytest.mark.parametrize(("shut", "open_"), [("events", "money"), ("money", "events")])
async def test_many_events_at_once_are_each_told_apart_by_exchange(
    world: World, shut: str, open_: str
) -> None:
    """A return says only which message it is, and the same message is under way twice."""
    await world.broker.unbind(shut)
    for number in range(200):
        await holds(world, f"c{number}", 1)

    await world.catch_up()

    wanted = sorted(f"credit-c{number}/1" for number in range(200))
    assert sorted(await got(world, open_)) == wanted
    assert await got(world, shut) == []
    assert sorted(f"{stream}/{version}" for _, stream, version in await world.parked()) == wanted
    assert {where for where, _, _ in await world.parked()} == {f"relay/{shut}"}


async def test_a_queue_unbound_in_mid_run_parks_the_rest_and_one_command_drains_it_in_order(
    world: World,
) -> None:
    async with world.running(world.follower(page=20)):
        await holds(world, "ann", 5)
        await until(world.seen_all)
        await world.broker.unbind("money")
        confirmed = world.publisher.counted.confirmed
        for customer in ("ann", "bob"):
            await holds(world, customer, 10, first=6 if customer == "ann" else 1)
        await until(world.seen_all)

        assert world.publisher.counted.confirmed == confirmed + 20, "at the exchange events, all"
        assert [one for one in await world.parked() if one[0] != "relay/money"] == []
        parked = [f"{stream}/{version}" for _, stream, version in await world.parked()]
        assert sorted(parked) == sorted([*ids("ann", 15, first=6), *ids("bob", 10)])
        assert await got(world, "money") == ids("ann", 5)

        await world.broker.bind("money")
        done = await retry(world.pool, world.publisher, HANDRAIL.routing)

        assert (done.published, done.stopped_by) == (20, [])
        await holds(world, "ann", 1, first=16)
        await until(world.seen_all)
    assert await world.parked() == []
    drained = await world.broker.read("money")
    assert in_order(drained)
    assert sorted(one.id for one in drained) == sorted([*ids("ann", 16, first=6), *ids("bob", 10)])


async def test_later_events_of_the_stream_wait_though_there_is_a_way_again(world: World) -> None:
    await world.broker.unbind("money")
    await holds(world, "ann", 1)
    await world.catch_up()
    await world.broker.bind("money")
    await holds(world, "ann", 2, first=2)
    await holds(world, "bob", 1)

    await world.catch_up()

    assert await got(world, "money") == ["credit-bob/1"]
    assert (await causes(world))[1:] == ["waits behind an earlier event of its stream"] * 2
    await retry(world.pool, world.publisher, HANDRAIL.routing)
    assert await got(world, "money") == ids("ann", 3)


async def test_a_retry_stops_at_the_first_that_still_has_no_way(world: World) -> None:
    await world.broker.unbind("money")
    await holds(world, "ann", 3)
    await world.catch_up()

    done = await retry(world.pool, world.publisher, HANDRAIL.routing)

    assert done.published == 0
    [stopped] = done.stopped_by
    assert (stopped.exchange, stopped.stream) == ("money", "credit-ann")
    assert "NO_ROUTE" in stopped.cause
    assert len(await world.parked()) == 3


@pytest.mark.parametrize(
    ("exchange", "stream", "left"),
    [
        ("money", None, {"relay/events"}),
        ("events", "credit-ann", {"relay/events", "relay/money"}),
        (None, "credit-ann", {"relay/events", "relay/money"}),
    ],
)
async def test_a_part_can_be_retried(
    world: World, exchange: str | None, stream: str | None, left: set[str]
) -> None:
    for name in ("events", "money"):
        await world.broker.unbind(name)
    for customer in ("ann", "bob"):
        await holds(world, customer, 2)
    await world.catch_up()
    for name in ("events", "money"):
        await world.broker.bind(name)

    done = await retry(world.pool, world.publisher, HANDRAIL.routing, exchange, stream)

    assert done.stopped_by == []
    assert {where for where, _, _ in await world.parked()} == left
    if stream:
        assert ("relay/events", "credit-ann", 1) not in await world.parked()
    await retry(world.pool, world.publisher, HANDRAIL.routing)
    assert await world.parked() == []
    for name in ("events", "money"):
        assert in_order(await world.broker.read(name))


class Gate(Publisher):
    """A publisher that holds its first message until it is let through."""

    def __init__(self, url: str) -> None:
        super().__init__(url, HOME)
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def publish(self, exchange: str, message: Message) -> str:
        self.reached.set()
        await self.open.wait()
        return await super().publish(exchange, message)


async def test_an_event_that_comes_while_its_stream_is_worked_off_is_neither_early_nor_forgotten(
    world: World,
) -> None:
    await world.broker.unbind("money")
    await holds(world, "ann", 2)
    await world.catch_up()
    await world.broker.bind("money")

    async with Gate(world.broker.amqp) as slow, world.running(world.follower()):
        retrying = asyncio.create_task(retry(world.pool, slow, HANDRAIL.routing))
        await slow.reached.wait()
        await holds(world, "ann", 1, first=3)
        await until(lambda: _relay_waits(world))
        slow.open.set()
        done = await retrying
        await until(world.seen_all)

    assert done.published == 2
    assert await got(world, "money") == ids("ann", 3)
    assert await world.parked() == []


async def _relay_waits(world: World) -> bool:
    """It wants to know for certain whether the stream still waits."""
    return bool(
        await world.value(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'"
        )
    )


@dataclass(frozen=True, kw_only=True)
class CreditFrozen(Event):
    """Of a newer deployment than the relay's."""

    customer: str


NEWER = Codec.of((*HANDRAIL.codec.classes.values(), CreditFrozen))


async def test_an_unknown_event_that_is_to_be_parked_stops_its_stream_until_it_is_known(
    world: World,
) -> None:
    async with world.pool.connection() as connection:
        await decide(
            connection, [RELAY], ("CreditFrozen", 1), Attribution("ann", "taken back"), parks=True
        )
    await holds(world, "ann", 1)
    await world.append("credit-ann", CreditFrozen(customer="ann"), codec=NEWER)
    await holds(world, "ann", 2, first=3)
    await holds(world, "bob", 1)
    await world.catch_up()

    assert await world.parked() == [("relay/unknown", "credit-ann", n) for n in (2, 3, 4)]
    assert sorted(await got(world, "money")) == ["credit-ann/1", "credit-bob/1"]
    [stopped] = (await retry(world.pool, world.publisher, HANDRAIL.routing)).stopped_by
    assert "CreditFrozen" in stopped.cause

    newer = routed(CreditFrozen="credit")
    await world.broker.unbind("money")
    await retry(world.pool, world.publisher, newer)
    assert await world.parked() == [("relay/money", "credit-ann", n) for n in (2, 3, 4)]
    await world.broker.bind("money")
    await retry(world.pool, world.publisher, newer)
    assert await got(world, "money") == ids("ann", 4, first=2)
    assert await got(world, "events") == ["credit-ann/1", "credit-bob/1", *ids("ann", 4, first=2)]


async def test_an_event_no_broker_would_take_waits_and_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.append("credit-ann", held("ann", "1" * 300))
    await holds(world, "ann", 1)
    await holds(world, "bob", 1)
    monkeypatch.setattr(cloud_events, "_LARGEST_BODY", 300)

    await world.catch_up()

    waiting = {("relay/events", "credit-ann"), ("relay/money", "credit-ann")}
    assert {one[:2] for one in await world.parked()} == waiting
    assert await got(world, "money") == ["credit-bob/1"]
    monkeypatch.undo()
    await retry(world.pool, world.publisher, HANDRAIL.routing)
    assert await got(world, "money") == ids("ann", 2)


async def test_an_id_too_long_for_a_message_is_parked(world: World) -> None:
    await holds(world, "x" * 300, 1)

    await world.catch_up()

    assert {where for where, _, _ in await world.parked()} == {"relay/events", "relay/money"}
    assert "255" in (await causes(world))[0]


async def test_nothing_parked_is_nothing_to_do(world: World) -> None:
    done: Any = await retry(world.pool, world.publisher, HANDRAIL.routing, "money", "credit-nobody")

    assert (done.published, done.stopped_by) == (0, [])
