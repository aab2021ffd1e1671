"""Two axes of time: what was known at a moment, and what of it was true at another."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson

from domain.identifiers import OrderId
from domain.ordering.events import OrderCompleted
from domain.payments.events import PaymentDisputed
from domain.shipping.events import ShipmentDelivered, ShipmentDispatched
from handrail.kernel import effective_at
from handrail.projections.as_of import fold_as_of
from handrail.projections.blame import changes_of
from projections import order_status
from runtime.app import HANDRAIL
from tests.controls import NOON, eur
from tests.projections.stories import Shop
from tests.projections.test_as_of import Committing
from tests.projections.test_moments import now
from tests.projections.test_past_lists import a_moment
from tests.projections.world import World

CODEC = HANDRAIL.codec
ORDER = OrderId("1")


async def sold(world: World) -> None:
    for stream, events in Shop().sells(ORDER):
        await world.append(stream, *events)


async def is_told_late(world: World, dispatched: datetime, delivered: datetime) -> None:
    """What the carrier says of earlier days."""
    shipment = f"shipment-{ORDER}"
    await world.append(shipment, ShipmentDispatched(order=ORDER, at=dispatched))
    await world.append(shipment, ShipmentDelivered(order=ORDER, at=delivered))
    await world.append(f"order-{ORDER}", OrderCompleted(order=ORDER, completed_at=delivered))


async def order(
    world: World, known_at: datetime | None, true_at: datetime | None
) -> tuple[str, str] | None:
    found = await fold_as_of(
        Committing(world), order_status.PROJECTION, ORDER, known_at, CODEC, true_by=true_at
    )
    return (found.row.status, found.row.shipment) if found.row else None


async def test_what_was_known_and_what_was_true_are_two_questions(world: World) -> None:
    await sold(world)
    sold_at = await a_moment(world)
    delivered = sold_at + timedelta(minutes=2)
    await is_told_late(world, sold_at + timedelta(minutes=1), delivered)
    told_at = await a_moment(world)
    between = sold_at + timedelta(minutes=1, seconds=30)

    assert await order(world, sold_at, None) == ("confirmed", "booked")
    assert await order(world, sold_at, delivered) == ("confirmed", "booked")
    assert await order(world, told_at, None) == ("completed", "delivered")
    assert await order(world, told_at, between) == ("confirmed", "dispatched")
    assert await order(world, told_at, delivered) == ("completed", "delivered")
    assert await order(world, None, between) == ("confirmed", "dispatched")


async def test_what_says_no_time_of_its_own_became_true_when_it_was_recorded(world: World) -> None:
    await sold(world)
    first = await world.value("SELECT min(recorded_at) FROM events WHERE stream LIKE 'order-%'")
    assert await order(world, None, first - timedelta(microseconds=1)) is None
    assert await order(world, None, await now(world)) == ("confirmed", "booked")


async def test_changes_say_when_late_facts_became_true(world: World) -> None:
    await sold(world)
    await is_told_late(world, NOON, NOON + timedelta(hours=1))
    found = await changes_of(Committing(world), order_status.PROJECTION, ORDER, CODEC, limit=200)
    said = {one.by.type: one.by.effective_at for one in found.changes}
    assert said["ShipmentDispatched"] == NOON
    assert said["OrderCompleted"] == NOON + timedelta(hours=1)
    assert said["OrderPlaced"] is None


def test_a_dispute_of_an_earlier_release_has_no_time_of_its_own() -> None:
    was: dict[str, Any] = {
        "order": "1",
        "dispute": "d",
        "amount": {"amount": 5, "currency": "EUR"},
    }
    event = CODEC.decode("PaymentDisputed", 1, was)
    assert effective_at(event) is None
    late = PaymentDisputed(order=ORDER, dispute="d", amount=eur(5), effective_at=NOON)
    stored = CODEC.encode(late)
    again = CODEC.decode(stored.type, stored.schema, orjson.loads(stored.data))
    assert effective_at(again) == NOON
