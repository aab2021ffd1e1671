"""`verify --feed` finds what is wrong with the store and its followers, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import chain
from pathlib import Path
from random import Random

import psycopg
import pytest

from consumers import finance, warehouse
from domain.identifiers import OrderId
from domain.ordering.events import OrderConfirmed
from handrail.eventstore.feed import BEGINNING, read_page
from handrail.lake.columns import as_table
from handrail.lake.exporter import Exporter
from handrail.lake.table import Lake
from handrail.messaging.consumers.store_consumer import catch_up
from handrail.verify.feed_checks import REMEDIES, feed_checks
from handrail.verify.feed_checks_of_the_lake import LAKE_CHECK
from handrail.verify.proof import Proof
from runtime.app import HANDRAIL
from runtime.verify.prove import prove
from tests.projections.stories import Shop
from tests.projections.world import World, a_world
from tests.seeds import two_of
from tests.servers.postgres import a_server, dump, migrated, restore, sql, use_numbers

FEED_CHECKS = feed_checks(
    HANDRAIL.read_models, HANDRAIL.consumers, HANDRAIL.codec, HANDRAIL.event_ids
)


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
            await catch_up(one.pool, consumer, HANDRAIL.codec)
        for stream, events in shop.sells(OrderId("3")):
            await one.append(stream, *events)
        yield one


async def proved(world: World, lake: Path | None = None) -> Proof:
    return await prove(world.url, None, None, feed=True, lake=lake)


async def wrong(world: World, lake: Path | None = None) -> set[str]:
    found = await proved(world, lake)
    checks = [*FEED_CHECKS, *([LAKE_CHECK] if lake else [])]
    return {name for name in checks if found.findings[name].count}


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


@pytest.mark.thorough
async def test_nothing_is_wrong_where_the_clock_was_put_back(world: World, tmp_path: Path) -> None:
    await is_broken(
        world,
        (
            "UPDATE events SET recorded_at = recorded_at - interval '1 hour' * (position % 2)"
            " + interval '1 hour' * (position % 3) WHERE stream LIKE '%-3'"
        ),
    )
    await world.catch_up()
    await Exporter(world.pool, Lake(tmp_path, HANDRAIL.tenant), HANDRAIL.routing).catch_up()

    assert await wrong(world, tmp_path) == set()


@pytest.fixture
async def lake(world: World, tmp_path: Path) -> Path:
    """All there is, in batches of a few events."""
    await Exporter(
        world.pool, Lake(tmp_path, HANDRAIL.tenant), HANDRAIL.routing, limit=7
    ).catch_up()
    return tmp_path


async def test_nothing_is_wrong_with_a_lake_that_is_as_the_store(world: World, lake: Path) -> None:
    await world.append("order-9", OrderConfirmed(order=OrderId("9")))

    assert await wrong(world, lake) == set()


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("UPDATE events SET metadata = '{}' WHERE stream = 'order-1' AND version = 1", "other in"),
        ("DELETE FROM events WHERE stream = 'order-1' AND version = 1", "not in the store"),
        (
            (
                "UPDATE checkpoints SET since = pg_current_snapshot(), until = NULL,"
                " after_position = 0 WHERE projection = 'lake'"
            ),
            "not in the lake",
        ),
    ],
)
async def test_a_lake_that_differs_is_found(
    world: World, lake: Path, fault: str, said: str
) -> None:
    await world.append("order-9", OrderConfirmed(order=OrderId("9")))
    await is_broken(world, fault)

    found = (await proved(world, lake)).findings[LAKE_CHECK]

    assert found.count == 1
    assert said in found.texts[0]


async def test_an_event_that_is_twice_in_the_lake_is_found(world: World, lake: Path) -> None:
    async with world.pool.connection() as connection:
        first = await read_page(connection, BEGINNING, range(16), 1)
    Lake(lake, HANDRAIL.tenant).write(10_000, as_table(first.events, HANDRAIL.routing))

    found = (await proved(world, lake)).findings[LAKE_CHECK]

    assert [text.endswith("2 times in the lake") for text in found.texts] == [True]


@pytest.mark.thorough
async def test_nothing_is_wrong_with_a_restored_dump_that_was_adopted(tmp_path: Path) -> None:
    async with a_server(tmp_path / "old") as old:
        await migrated(old)
        await use_numbers(old.url, 3000)
        async with a_world(old.url) as before:
            shop = Shop()
            for stream, events in chain(shop.opens(), shop.sells(OrderId("1"))):
                await before.append(stream, *events)
            await before.catch_up()
            for stream, events in shop.sells(OrderId("2")):
                await before.append(stream, *events)
        dumped = await dump(old, tmp_path / "dump")
    async with a_server(tmp_path / "new") as new:
        await restore(dumped, new)
        await sql(new.url, "SELECT adopt_store('the tests say so', 'tests')")
        async with a_world(new.url) as after:
            assert await wrong(after) == set()
            for stream, events in shop.sells(OrderId("3")):
                await after.append(stream, *events)
            await after.catch_up()
            assert await wrong(after) == set()


@pytest.mark.thorough
@pytest.mark.parametrize("seed", two_of(range(5)))
async def test_nothing_is_wrong_with_any_history_of_several_followers(
    database_with_read_models: str, tmp_path: Path, seed: int
) -> None:
    dice = Random(seed)
    async with a_world(database_with_read_models) as world:
        shop = Shop()
        for stream, events in shop.opens():
            await world.append(stream, *events)
        exporter = Exporter(
            world.pool,
            Lake(tmp_path, HANDRAIL.tenant),
            HANDRAIL.routing,
            limit=dice.randrange(2, 9),
        )
        for number in range(6):
            order = OrderId(str(number))
            for stream, events in dice.choice((shop.sells, shop.is_refused))(order):
                await world.append(stream, *events)
                match dice.choice(("a page", "all", "a consumer", "the lake", "poison", "", "")):
                    case "a page":
                        async with world.pool.connection() as connection:
                            await world.runner(page=dice.randrange(1, 9), lease=600).tick(
                                connection
                            )
                    case "all":
                        await world.catch_up(page=dice.randrange(2, 20))
                    case "a consumer":
                        await catch_up(world.pool, dice.choice(HANDRAIL.consumers), HANDRAIL.codec)
                    case "the lake":
                        await exporter.catch_up()
                    case "poison":
                        await world.append(f"order-none{number}", OrderConfirmed(order=order))
                    case _:
                        pass
            assert await wrong(world, tmp_path) == set()


PARKED = "INSERT INTO parked_events (projection, stream, position, cause) "
WAITS = (
    "INSERT INTO parked_messages (consumer, stream, version, position, type, schema, recorded_at,"
    " metadata, data, cause, attempts) SELECT"
)
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
        (
            "UPDATE checkpoints SET since = pg_current_snapshot(), until = NULL, after_position = 0"
            " WHERE projection = 'order_status'"
        ),
        "tokens_are_exact",
    ),
    (
        "UPDATE checkpoints SET since = '3:3:' WHERE projection = 'order_status'",
        "tokens_are_exact",
    ),
    (
        "INSERT INTO inbox VALUES ('finance', 'order-lost/1')",
        "nothing_is_of_lost_events",
    ),
    (
        (
            f"{WAITS} 'finance', stream, version, position, type, schema, recorded_at, metadata,"
            " data, 'none', 3 FROM events WHERE stream = 'credit-customer-1' AND version = 2"
        ),
        "messages_wait_in_order",
    ),
    (
        "INSERT INTO parked_streams (consumer, stream) VALUES ('finance', 'order-1')",
        "messages_wait_in_order",
    ),
    (
        PARKED + "VALUES ('order_status', 'order-1', 999999, 'none')",
        "parked_rows_are_of_events",
    ),
    (
        f"{PARKED} SELECT 'order_status', stream, position, 'x' FROM events {PLACED}",
        "parked_rows_are_of_events",
    ),
]


@pytest.mark.quick(6)
@pytest.mark.parametrize(("fault", "check"), FAULTS, ids=[fault for fault, _ in FAULTS])
async def test_a_fault_in_the_store_is_found(world: World, fault: str, check: str) -> None:
    await is_broken(world, fault)

    found = await proved(world)

    assert found.findings[check].count
    assert found.findings[check].texts[0]


async def test_what_the_inbox_keeps_no_longer_is_not_missed(world: World) -> None:
    await is_broken(world, "UPDATE events SET recorded_at = recorded_at - interval '91 days'")
    await is_broken(world, "DELETE FROM inbox")

    assert "consumers_have_what_they_passed" not in await wrong(world)


def test_every_check_is_tried() -> None:
    assert {check for _, check in FAULTS} == set(FEED_CHECKS)
    assert set(REMEDIES) == {*FEED_CHECKS, LAKE_CHECK}
