"""A packing list is the same, whichever of its streams comes first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from consumers import warehouse
from domain.identifiers import MerchantId, OrderId, ReturnId, Sku
from domain.inventory.events import StockReleased, StockReserved, StockReturned, StockShipped
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from handrail.kernel import Event
from handrail.messaging.consumers.catch_up import Settling
from handrail.messaging.consumers.inbox import receive
from handrail.messaging.consumers.store_consumer import catch_up
from runtime.app import HANDRAIL
from tests.controls import NOON
from tests.messaging.consumers.place import Place

ORDER = OrderId("o1")
CUP: dict[str, Any] = {
    "merchant": MerchantId("m"),
    "sku": Sku("cup"),
    "order": ORDER,
    "available": 0,
    "reserved": 0,
}


async def happened(place: Place, *events: Event) -> None:
    for event in events:
        of_shipping = event.context == "shipping"
        await place.append("shipment-o1" if of_shipping else "stock-m:cup", event)


async def lists(place: Place) -> list[tuple[Any, ...]]:
    return await place.sql(
        "SELECT order_id, state, booking, sku, to_pack, packed, came_back"
        " FROM packing_lists FULL JOIN packing_lines USING (order_id) ORDER BY order_id, sku"
    )


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([StockReserved(**CUP, quantity=2)], (None, None, 2, 0, 0)),
        (
            [StockReserved(**CUP, quantity=2), StockReleased(**CUP, quantity=2)],
            (None, None, 0, 0, 0),
        ),
        (
            [StockReserved(**CUP, quantity=2), ShipmentBooked(order=ORDER, booking="b")],
            ("to pack", "b", 2, 0, 0),
        ),
        (
            [
                StockReserved(**CUP, quantity=2),
                ShipmentBooked(order=ORDER, booking="b"),
                ShipmentCancelled(order=ORDER),
            ],
            ("cancelled", "b", 2, 0, 0),
        ),
        (
            [
                StockReserved(**CUP, quantity=2),
                ShipmentBooked(order=ORDER, booking="b"),
                StockShipped(**CUP, quantity=2),
                ShipmentDispatched(order=ORDER, at=NOON),
                ShipmentDelivered(order=ORDER, at=NOON),
                StockReturned(**CUP, quantity=1, return_id=ReturnId("r")),
            ],
            ("delivered", "b", 2, 2, 1),
        ),
        (
            [
                StockReserved(**CUP, quantity=2),
                ShipmentBooked(order=ORDER, booking="b"),
                ShipmentDispatched(order=ORDER, at=NOON),
                ShipmentLost(order=ORDER, at=NOON, cause="fire"),
            ],
            ("lost", "b", 2, 0, 0),
        ),
    ],
    ids=["reserved", "released", "booked", "cancelled", "returned", "lost"],
)
async def test_whatever_stream_comes_first(
    place: Place, events: list[Event], expected: tuple[Any, ...]
) -> None:
    await happened(place, *events)
    state, booking, *figures = expected
    wanted = [(ORDER, state, booking, "cup", *figures)]

    await catch_up(place.pool, warehouse.CONSUMER, HANDRAIL.codec)
    assert await lists(place) == wanted

    await place.sql("TRUNCATE checkpoints, inbox, packing_lists, packing_lines")
    async with place.pool.connection() as connection:
        for message in (
            *await place.messages("shipment-o1"),
            *await place.messages("stock-m:cup"),
        ):
            await receive(connection, warehouse.CONSUMER, message)
    assert await lists(place) == wanted


BOOKED = ShipmentBooked(order=ORDER, booking="b")
AGAIN = ShipmentBooked(order=ORDER, booking="b2")
DISPATCHED = ShipmentDispatched(order=ORDER, at=NOON)
LATER = NOON + timedelta(hours=1)
STORIES: dict[str, tuple[list[Event], tuple[str, str]]] = {
    "delivered": (
        [BOOKED, DISPATCHED, ShipmentDelivered(order=ORDER, at=LATER)],
        ("delivered", "b"),
    ),
    "lost": (
        [BOOKED, DISPATCHED, ShipmentLost(order=ORDER, at=LATER, cause="fire")],
        ("lost", "b"),
    ),
    "booked again": (
        [BOOKED, ShipmentCancelled(order=ORDER), AGAIN, DISPATCHED],
        ("dispatched", "b2"),
    ),
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("story", STORIES)
async def test_in_whatever_order_its_events_come_the_list_says_what_the_newest_says(
    place: Place, story: str
) -> None:
    events, expected = STORIES[story]
    await happened(place, *events)
    messages = await place.messages("shipment-o1")
    found = set[tuple[Any, ...]]()
    for order in permutations(messages):
        await place.sql("TRUNCATE inbox, packing_lists")
        async with place.pool.connection() as connection:
            for message in order:
                await receive(connection, warehouse.CONSUMER, message)
        found.update(await _list_of(place))

    assert {one[:2] for one in found} == {expected}
    assert len(found) == 1


@pytest.mark.quick(1)
@pytest.mark.parametrize("story", STORIES)
async def test_what_the_broker_lost_and_the_store_brings_late_does_not_turn_a_list_back(
    place: Place, story: str
) -> None:
    events, expected = STORIES[story]
    await happened(place, *events)
    messages = await place.messages("shipment-o1")
    for lost in messages:
        await place.sql("TRUNCATE checkpoints, inbox, packing_lists")
        async with place.pool.connection() as connection:
            for message in messages:
                if message != lost:
                    await receive(connection, warehouse.CONSUMER, message)
        await Settling(place.pool, warehouse.CONSUMER, HANDRAIL.codec, patience=0).catch_up()

        [(state, booking, _)] = await _list_of(place)
        assert (state, booking) == expected, f"{lost.type} was lost"


async def _list_of(place: Place) -> Sequence[tuple[Any, ...]]:
    return await place.sql("SELECT state, booking, changed_at FROM packing_lists")
