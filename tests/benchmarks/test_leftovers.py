"""What was begun and not finished is counted, wherever it got stuck."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Literal

import pytest

from benchmarks.leftovers import Leftovers, left_over, until_completed
from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.ordering.events import OrderPlaced
from domain.shipping.events import ShipmentDelivered
from handrail.kernel import Money
from handrail.sagas.events import SagaEnded, SagaStarted
from tests.projections.world import World, a_world

Ending = Literal["completed", "refused", "compensated"]


@pytest.fixture
async def world(database_with_read_models: str) -> AsyncIterator[World]:
    async with a_world(database_with_read_models) as one:
        yield one


async def _begin(world: World, order: str) -> None:
    started = SagaStarted(
        saga=order,
        attempt=1,
        saga_type="Checkout",
        shape=1,
        tenant=MerchantId("m1"),
        actor="ann",
        at_stake=Money(100, "EUR"),
    )
    await world.append(f"saga-{order}", started)


async def _end(world: World, order: str, ending: Ending = "completed") -> None:
    ended = SagaEnded(saga=order, attempt=1, ending=ending, because="", reason="")
    await world.append(f"saga-{order}", ended)


async def _place(world: World, order: str) -> None:
    placed = OrderPlaced(
        order=OrderId(order),
        customer=CustomerId("c1"),
        merchant=MerchantId("m1"),
        lines=(),
        total=Money(100, "EUR"),
        down_payment=Money(25, "EUR"),
        instalments=3,
        placed_at=datetime.now(UTC),
    )
    await world.append(f"order-{order}", placed)


async def _deliver(world: World, order: str) -> None:
    delivered = ShipmentDelivered(order=OrderId(order), at=datetime.now(UTC))
    await world.append(f"shipment-{order}", delivered)


async def test_nothing_is_left_of_orders_that_were_delivered_or_taken_back(world: World) -> None:
    for order in ("o1", "o2"):
        await _begin(world, order)
    await _place(world, "o1")
    await _end(world, "o1")
    await _deliver(world, "o1")
    await _end(world, "o2", "compensated")
    await world.catch_up()

    assert await left_over(world.engine, accepted=2) == Leftovers(taken_back=1)


async def test_so_many_checkouts_are_waited_for_and_who_waits_too_long_is_told_what_is_missing(
    world: World,
) -> None:
    for order in ("o1", "o2"):
        await _begin(world, order)
    await _end(world, "o1")
    await world.catch_up()

    await until_completed(world.url, 1, seconds=5)
    with pytest.raises(TimeoutError, match="1 of 2 checkouts are completed"):
        await until_completed(world.url, 2, seconds=0)


async def test_an_order_that_nobody_has_heard_of_is_left(world: World) -> None:
    await world.catch_up()

    left = await left_over(world.engine, accepted=1)

    assert (left.orders, left.sagas, left.events) == (1, 0, 0)


async def test_a_saga_that_has_not_ended_is_left_and_so_is_its_order(world: World) -> None:
    await _begin(world, "o1")
    await world.catch_up()

    left = await left_over(world.engine, accepted=1)

    assert (left.orders, left.sagas, left.events) == (1, 1, 0)


async def test_events_that_a_read_model_has_not_seen_are_left(world: World) -> None:
    await _begin(world, "o1")
    await _end(world, "o1")
    await world.catch_up()
    await _place(world, "o1")
    await _deliver(world, "o1")

    left = await left_over(world.engine, accepted=1)

    assert (left.orders, left.sagas) == (0, 0)
    assert left.events > 0
    assert left.total == left.events


async def test_events_that_were_put_aside_are_left(world: World) -> None:
    await _begin(world, "o1")
    await _end(world, "o1")
    await _deliver(world, "o1")  # of an order that was never placed
    await world.catch_up()

    left = await left_over(world.engine, accepted=1)

    assert (left.orders, left.sagas) == (0, 0)
    assert left.events > 0
