"""Streams come in any order and at the same time: the messages are the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.notifications.handler import handle_at
from domain.identifiers import CustomerId, OrderId
from domain.ordering.events import OrderConfirmed
from domain.payments.events import (
    InstalmentCollected,
    InstalmentMissed,
    InstalmentRescheduled,
    PlannedInstalment,
    PlanOpened,
)
from domain.shipping.events import ShipmentDelivered, ShipmentDispatched
from handrail.eventstore.store import Recorded
from handrail.kernel import Event
from handrail.messaging.envelope import Received, received_from_store
from runtime.app import HANDRAIL
from tests.controls import NOON, eur
from tests.messaging.notifications.world import World
from tests.projections.stories import placed

ORDER, CUSTOMER = OrderId("o"), CustomerId("c")
NOW = datetime.now(UTC)
DUE = NOW.date() + timedelta(days=20)
STREAMS: dict[str, list[Event]] = {
    "order-o": [placed(ORDER, CUSTOMER), OrderConfirmed(order=ORDER)],
    "plan-o": [
        PlanOpened(
            order=ORDER,
            customer=CUSTOMER,
            card="card",
            instalments=(
                PlannedInstalment(number=1, due=DUE, amount=eur(5)),
                PlannedInstalment(number=2, due=DUE, amount=eur(5)),
            ),
        ),
        InstalmentRescheduled(order=ORDER, number=1, due=DUE + timedelta(days=20)),
        InstalmentMissed(order=ORDER, number=2, amount=eur(5), code="no"),
        InstalmentCollected(order=ORDER, number=2, principal=eur(5), fees=eur(0), charge="c"),
    ],
    "shipment-o": [
        ShipmentDispatched(order=ORDER, at=NOON),
        ShipmentDelivered(order=ORDER, at=NOON),
    ],
}
TURNS = [name for name, events in STREAMS.items() for _ in events]
WRITTEN = (
    "SELECT source, channel, kind, state, due_at, body FROM notifications ORDER BY source, channel"
)


@pytest.fixture
async def told(world: World) -> dict[str, list[Received]]:
    await world.knows(CUSTOMER)
    for stream, events in STREAMS.items():
        await world.append(stream, *events)
    return {stream: await _received(world, stream) for stream in STREAMS}


async def _received(world: World, stream: str) -> list[Received]:
    found = await world.sql(
        "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
        " FROM events WHERE stream = %s ORDER BY version",
        stream,
    )
    return [received_from_store(Recorded(*row), HANDRAIL.codec) for row in found]


async def hear(world: World, received: Received) -> None:
    async with world.pool.connection() as connection, connection.transaction():
        await handle_at(connection, received, NOW)


async def forget(world: World) -> None:
    await world.sql(
        "TRUNCATE notifications, notification_orders, notification_early, notification_instalments"
    )


async def written_in_order(world: World, told: dict[str, list[Received]]) -> list[Any]:
    await forget(world)
    for stream in STREAMS:
        for one in told[stream]:
            await hear(world, one)
    return await world.sql(WRITTEN)


@pytest.mark.thorough
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(turns=st.permutations(TURNS), again=st.lists(st.sampled_from(TURNS), max_size=3))
async def test_the_order_of_streams_makes_no_difference(
    world: World, told: dict[str, list[Received]], turns: list[str], again: list[str]
) -> None:
    """And whole streams that come again after that make none, either."""
    expected = await written_in_order(world, told)
    await forget(world)
    streams: dict[str, Iterator[Received]] = {name: iter(told[name]) for name in STREAMS}
    for stream in turns:
        await hear(world, next(streams[stream]))
    assert await world.sql(WRITTEN) == expected
    assert await world.value("SELECT count(*) FROM notification_early") == 0
    keys = {(source, channel) for source, channel, *_ in expected}
    for stream in again:
        for one in told[stream]:
            await hear(world, one)
    assert set(await world.states()) == keys


@pytest.mark.thorough
async def test_streams_that_come_at_the_same_time_lose_nothing(
    world: World, told: dict[str, list[Received]]
) -> None:
    expected = await written_in_order(world, told)

    async def one_by_one(stream: str) -> None:
        for one in told[stream]:
            await hear(world, one)

    for _ in range(20):
        await forget(world)
        await asyncio.gather(*map(one_by_one, reversed(STREAMS)))
        assert await world.sql(WRITTEN) == expected


async def remembered(world: World) -> tuple[list[Any], list[Any]]:
    return (
        await world.sql("SELECT * FROM notification_instalments ORDER BY order_id, number"),
        await world.sql(
            "SELECT channel, due_at, body FROM notifications"
            " WHERE kind = 'instalment-due' AND state = 'waiting' ORDER BY channel, due_at, body"
        ),
    )


@pytest.mark.parametrize("late", range(4))
async def test_an_event_of_a_plan_that_comes_late_leaves_the_same_reminders(
    world: World, told: dict[str, list[Received]], late: int
) -> None:
    await written_in_order(world, told)
    in_order = await remembered(world)
    await forget(world)
    plan = told["plan-o"]
    for one in (*told["order-o"], *plan[:late], *plan[late + 1 :], plan[late]):
        await hear(world, one)

    assert await remembered(world) == in_order
