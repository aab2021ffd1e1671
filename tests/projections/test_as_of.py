from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.identifiers import OrderId
from handrail.projections import saga_board
from handrail.projections.as_of import HistoryTooLong, as_of, fold_as_of
from handrail.projections.projection import Happened, id_of
from projections import merchant_balance, order_status
from runtime.app import HANDRAIL
from tests.projections.long_history import a_merchant_with
from tests.projections.stories import Shop
from tests.projections.world import World, as_stored

CODEC = HANDRAIL.codec


@pytest.mark.thorough
async def test_a_row_as_of_any_moment_is_what_it_was_then(world: World) -> None:
    shop = Shop()
    noted: list[tuple[datetime, str, str, Any]] = []
    for stream, events in chain(
        shop.opens(), shop.sells(OrderId("1")), shop.is_refused(OrderId("2"))
    ):
        await world.append(stream, *events)
        await world.catch_up()
        moment = await world.value("SELECT max(recorded_at) FROM events")
        for projection in HANDRAIL.read_models:
            for id_, row in (await world.rows(projection)).items():
                noted.append((moment, projection.name, id_, row))

    by_name = {projection.name: projection for projection in HANDRAIL.read_models}
    async with world.engine.connect() as connection:
        for moment, name, id_, row in noted:
            then = await as_of(connection, by_name[name], id_, moment, CODEC)
            assert then is not None
            assert as_stored(then) == row
    assert len(noted) > 100


async def test_before_it_began_there_was_no_row(world: World) -> None:
    first: Sequence[Any] = next(iter(Shop().opens()))
    stream, events = first
    await world.append(stream, *events)
    moment = await world.value("SELECT min(recorded_at) FROM events")

    async with world.engine.connect() as connection:
        projection, merchant = merchant_balance.PROJECTION, id_of(stream)
        at_once = await as_of(connection, projection, merchant, moment, CODEC)
        just_before = moment - timedelta(microseconds=1)
        before = await as_of(connection, projection, merchant, just_before, CODEC)

    assert before is None
    assert at_once is not None
    assert at_once.merchant == "merchant-1"


async def test_the_time_zone_of_the_session_changes_nothing(world: World) -> None:
    shop = Shop()
    for stream, events in chain(shop.opens(), shop.sells(OrderId("1"))):
        await world.append(stream, *events)
    moment = await world.value("SELECT max(recorded_at) FROM events")

    async with world.engine.connect() as connection:
        here = await as_of(connection, saga_board.projection("merchant"), "1", moment, CODEC)
        await connection.exec_driver_sql("SET TIME ZONE 'Asia/Kathmandu'")
        there = await as_of(connection, saga_board.projection("merchant"), "1", moment, CODEC)
        await connection.exec_driver_sql("RESET TIME ZONE")

    assert here == there


class Committing:
    """A database whose statements each commit by themselves, as the API's do, and are counted."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.connections = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        self.connections += 1
        async with self._world.engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")


def later() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def sold(world: World) -> None:
    shop = Shop()
    for stream, events in chain(shop.opens(), shop.sells(OrderId("1"))):
        await world.append(stream, *events)


async def change_events(world: World, statement: str, *values: Any) -> None:
    """As nothing in the product can: the trigger keeps even the owner from it."""
    async with await psycopg.AsyncConnection.connect(world.url, autocommit=True) as owner:
        await owner.execute("SET session_replication_role = replica")
        await owner.execute(statement.encode(), values)


@pytest.mark.quick(1)
@pytest.mark.parametrize("seconds", [0.001, 0.2, 5.0, 3600.0])
async def test_a_clock_that_was_put_back_leaves_no_hole_in_any_stream(
    world: World, seconds: float
) -> None:
    await sold(world)
    await world.catch_up()
    await change_events(
        world,
        "UPDATE events SET recorded_at = recorded_at - make_interval(secs => %s)"
        " WHERE position > (SELECT min(position) FROM events WHERE stream = 'order-1')",
        seconds,
    )
    moment = await world.value(
        "SELECT max(recorded_at) FROM events WHERE stream = 'order-1' AND version > 1"
    )

    async with world.engine.connect() as connection:
        then = await as_of(connection, order_status.PROJECTION, "1", moment, CODEC)

    live = (await world.rows(order_status.PROJECTION))["1"]
    assert then is not None
    assert (then.status, then.payment) == (live["status"], live["payment"])


@pytest.mark.quick(1)
@pytest.mark.parametrize("schema", [2, 9])
async def test_an_event_of_newer_code_leaves_the_row_as_the_read_model_leaves_it(
    world: World, schema: int
) -> None:
    await sold(world)
    await change_events(
        world, "UPDATE events SET schema = %s WHERE type = 'OrderConfirmed'", schema
    )
    await world.catch_up()
    live = (await world.rows(order_status.PROJECTION))["1"]

    found = await fold_as_of(world.engine, order_status.PROJECTION, "1", later(), CODEC)

    assert found.row is not None
    assert as_stored(found.row) == live
    assert found.stopped_by is not None
    assert found.stopped_by.position == await world.value(
        "SELECT min(position) FROM newer_code_waits WHERE subscriber = 'order_status'"
    )


async def test_one_read_folds_so_many_events_and_the_next_goes_on_from_there(world: World) -> None:
    merchant = await a_merchant_with(world.url, 1_000)
    await world.catch_up()
    live = (await world.rows(merchant_balance.PROJECTION))[merchant]
    database, projection = Committing(world), merchant_balance.PROJECTION

    for folded in (300, 600, 900):
        with pytest.raises(HistoryTooLong, match=f"folded {folded} of about 1000 events"):
            await fold_as_of(database, projection, merchant, later(), CODEC, events_at_most=300)
    found = await fold_as_of(database, projection, merchant, later(), CODEC, events_at_most=300)

    assert found.row is not None
    assert as_stored(found.row) == live


async def test_a_history_as_long_as_the_bound_is_answered(world: World) -> None:
    merchant = await a_merchant_with(world.url, 400)

    async with world.engine.connect() as connection:
        row = await as_of(
            connection, merchant_balance.PROJECTION, merchant, later(), CODEC, events_at_most=400
        )

    assert row is not None
    assert row.orders == 399


@pytest.mark.thorough
async def test_a_snapshot_of_later_changes_no_answer_about_earlier(world: World) -> None:
    merchant = await a_merchant_with(world.url, 500)
    await change_events(
        world,
        "UPDATE events SET recorded_at = timestamptz '2026-01-01' + make_interval(secs => version)"
        " WHERE stream = 'merchant-long'",
    )
    database, projection = Committing(world), merchant_balance.PROJECTION
    with pytest.raises(HistoryTooLong):
        await fold_as_of(database, projection, merchant, later(), CODEC, events_at_most=400)

    for version in (1, 2, 199, 399, 400, 401, 450, 500):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=version)
        found = await fold_as_of(database, projection, merchant, moment, CODEC, events_at_most=400)
        assert found.row is not None
        assert found.row.orders == version - 1


async def test_a_snapshot_leaves_out_no_event_that_was_committed_late(world: World) -> None:
    projection = order_status.PROJECTION
    shop = Shop()
    told = list(chain(shop.opens(), shop.sells(OrderId("1"))))
    for stream, events in told:
        if not stream.startswith("shipment"):
            await world.append(stream, *events)
    database = Committing(world)
    with pytest.raises(HistoryTooLong):
        await fold_as_of(database, projection, "1", later(), CODEC, events_at_most=5)
    assert await world.value("SELECT count(*) FROM row_snapshots") == 1

    # A writer that took its positions before those of the snapshot, and commits only now.
    for stream, events in told:
        if stream.startswith("shipment"):
            await world.append(stream, *events)
    await change_events(world, "ALTER TABLE events ALTER position SET GENERATED BY DEFAULT")
    await change_events(world, "UPDATE events SET position = -position WHERE stream ~ '^shipment'")
    while True:
        try:
            found = await fold_as_of(database, projection, "1", later(), CODEC, events_at_most=5)
        except HistoryTooLong:
            continue
        break

    assert found.row is not None
    assert found.row.shipment


async def test_a_snapshot_of_another_version_of_the_projection_is_passed_over(world: World) -> None:
    merchant = await a_merchant_with(world.url, 500)
    projection = merchant_balance.PROJECTION
    with pytest.raises(HistoryTooLong):
        await fold_as_of(
            Committing(world), projection, merchant, later(), CODEC, events_at_most=400
        )
    await world.sql("UPDATE row_snapshots SET version = 1, state = '{}'")

    found = await fold_as_of(world.engine, projection, merchant, later(), CODEC)

    assert found.row is not None
    assert found.row.orders == 499


async def test_a_snapshot_of_another_fold_of_the_same_version_is_passed_over(world: World) -> None:
    merchant = await a_merchant_with(world.url, 500)
    projection = merchant_balance.PROJECTION

    def mended(row: Any, happened: Happened) -> Any:
        return projection.evolve(row, happened)

    with pytest.raises(HistoryTooLong):
        await fold_as_of(
            Committing(world), projection, merchant, later(), CODEC, events_at_most=400
        )
    await world.sql("UPDATE row_snapshots SET state = '{}'")

    other = replace(projection, evolve=mended)
    found = await fold_as_of(world.engine, other, merchant, later(), CODEC)

    assert found.row is not None
    assert found.row.orders == 499


@pytest.mark.thorough
async def test_others_are_served_while_a_long_history_is_folded(world: World) -> None:
    merchant = await a_merchant_with(world.url, 4_000)
    served = 0
    folding = asyncio.create_task(
        fold_as_of(world.engine, merchant_balance.PROJECTION, merchant, later(), CODEC)
    )
    while not folding.done():
        await asyncio.sleep(0)
        served += 1

    assert (await folding).row is not None
    assert served > 4_000 / 50
