from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from domain.kernel import OrderId
from projections import merchant_balance, saga_board
from projections.as_of import as_of
from projections.catalogue import PROJECTIONS
from projections.projection import id_of
from tests.projections.stories import Shop
from tests.projections.world import World, as_stored


async def test_a_row_as_of_any_moment_is_what_it_was_then(world: World) -> None:
    shop = Shop()
    noted: list[tuple[datetime, str, str, Any]] = []
    for stream, events in chain(
        shop.opens(), shop.sells(OrderId("1")), shop.is_refused(OrderId("2"))
    ):
        await world.append(stream, *events)
        await world.catch_up()
        moment = await world.value("SELECT max(recorded_at) FROM events")
        for projection in PROJECTIONS:
            for id_, row in (await world.rows(projection)).items():
                noted.append((moment, projection.name, id_, row))

    by_name = {projection.name: projection for projection in PROJECTIONS}
    async with world.engine.connect() as connection:
        for moment, name, id_, row in noted:
            then = await as_of(connection, by_name[name], id_, moment)
            assert then is not None
            assert as_stored(then) == row
    assert len(noted) > 100


async def test_before_it_began_there_was_no_row(world: World) -> None:
    first: Sequence[Any] = next(iter(Shop().opens()))
    stream, events = first
    await world.append(stream, *events)
    moment = await world.value("SELECT min(recorded_at) FROM events")

    async with world.engine.connect() as connection:
        at_once = await as_of(connection, merchant_balance.PROJECTION, id_of(stream), moment)
        just_before = moment - timedelta(microseconds=1)
        before = await as_of(connection, merchant_balance.PROJECTION, id_of(stream), just_before)

    assert before is None
    assert at_once is not None
    assert at_once.merchant == "merchant-1"


async def test_the_time_zone_of_the_session_changes_nothing(world: World) -> None:
    shop = Shop()
    for stream, events in chain(shop.opens(), shop.sells(OrderId("1"))):
        await world.append(stream, *events)
    moment = await world.value("SELECT max(recorded_at) FROM events")

    async with world.engine.connect() as connection:
        here = await as_of(connection, saga_board.PROJECTION, "1", moment)
        await connection.exec_driver_sql("SET TIME ZONE 'Asia/Kathmandu'")
        there = await as_of(connection, saga_board.PROJECTION, "1", moment)
        await connection.exec_driver_sql("RESET TIME ZONE")

    assert here == there
