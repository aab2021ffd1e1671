"""`verify --feed` finds what is wrong with the store and its followers, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import chain

import psycopg
import pytest

from domain.kernel import OrderId
from domain.ordering.events import OrderConfirmed
from messaging import finance, warehouse
from messaging.feeding import catch_up
from runtime.feed_checks import FEED_CHECKS
from runtime.verify import Proof, prove
from tests.projections.stories import Shop
from tests.projections.world import World, a_world


@pytest.fixture
async def world(database_with_read_models: str) -> AsyncIterator[World]:
    """Two orders that everybody has read, and one more that nobody has."""
    async with a_world(database_with_read_models) as one:
        shop = Shop()
        for stream, events in chain(
            shop.opens(), shop.sells(OrderId("1")), shop.sells(OrderId("2"))
        ):
            await one.append(stream, *events)
        await one.catch_up()
        for consumer in (finance.CONSUMER, warehouse.CONSUMER):
            await catch_up(one.pool, consumer)
        for stream, events in shop.sells(OrderId("3")):
            await one.append(stream, *events)
        yield one


async def proved(world: World) -> Proof:
    return await prove(world.url, None, None, feed=True)


async def wrong(world: World) -> set[str]:
    found = await proved(world)
    return {name for name in FEED_CHECKS if found.findings[name].count}


async def is_broken(world: World, statement: str) -> None:
    """By who may do anything, past every trigger."""
    async with await psycopg.AsyncConnection.connect(world.url, autocommit=True) as owner:
        await owner.execute("SET session_replication_role = replica")
        await owner.execute(statement.encode())


async def test_nothing_is_wrong_with_followers_that_are_behind(world: World) -> None:
    assert await wrong(world) == set()


async def test_nothing_is_wrong_while_a_row_is_parked(world: World) -> None:
    await world.append("order-9", OrderConfirmed(order=OrderId("9")))
    await world.catch_up()

    assert await wrong(world) == set()


async def test_nothing_is_wrong_where_the_clock_was_put_back(world: World) -> None:
    await is_broken(
        world,
        "UPDATE events SET recorded_at = recorded_at - interval '1 hour' WHERE position % 2 = 0",
    )

    assert await wrong(world) == set()


PARKED = "INSERT INTO parked_events (projection, stream, position, cause) "
PLACED = "WHERE stream = 'order-1' AND version = 1"
FAULTS = [
    ("DELETE FROM events WHERE stream = 'order-1' AND version = 2", "versions_without_holes"),
    ("UPDATE streams SET version = version + 1 WHERE name = 'order-1'", "versions_without_holes"),
    ("DELETE FROM streams WHERE name = 'order-1'", "versions_without_holes"),
    ("UPDATE events SET shard = (shard + 1) % 16 WHERE stream = 'order-1'", "shards_by_stream"),
    ("UPDATE outbox SET shard = (shard + 1) % 16", "outbox_is_of_events"),
    ("UPDATE outbox SET txid = '3'", "outbox_is_of_events"),
    ("DELETE FROM events WHERE stream = 'order-3'", "outbox_is_of_events"),
    ("DELETE FROM outbox", "nothing_unseen_is_gone"),
    ("DELETE FROM checkpoints WHERE shard = 3", "checkpoints_are_of_this_server"),
    (
        "UPDATE checkpoints SET since = '900000000:900000000:' WHERE projection = 'order_status'",
        "checkpoints_are_of_this_server",
    ),
    ("UPDATE checkpoints SET epoch = 7", "checkpoints_are_of_this_server"),
    ("DELETE FROM inbox WHERE consumer = 'finance'", "consumers_have_what_they_passed"),
    (
        PARKED + "VALUES ('order_status', 'order-1', 999999, 'none')",
        "parked_rows_are_of_events",
    ),
    (
        f"{PARKED} SELECT 'order_status', stream, position, 'x' FROM events {PLACED}",
        "parked_rows_are_of_events",
    ),
]


@pytest.mark.parametrize(("fault", "check"), FAULTS, ids=[fault for fault, _ in FAULTS])
async def test_a_fault_in_the_store_is_found(world: World, fault: str, check: str) -> None:
    await is_broken(world, fault)

    found = await proved(world)

    assert found.findings[check].count
    assert found.findings[check].texts[0]


async def test_what_the_inbox_keeps_no_longer_is_not_missed(world: World) -> None:
    await is_broken(world, "UPDATE events SET recorded_at = recorded_at - interval '91 days'")
    await is_broken(world, "DELETE FROM inbox")

    assert await wrong(world) == set()


def test_every_check_is_tried() -> None:
    assert {check for _, check in FAULTS} == set(FEED_CHECKS)
