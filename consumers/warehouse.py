"""The warehouse has a packing list for every order: what goes into the parcel, and how far it is.

Lines come from the streams of stock, the state from that of the shipment: whichever comes first,
the list is the same. A list says what the newest event of its shipment says, in whatever order they
come; the lines are sums, in which each event counts once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain.identifiers import OrderId
from domain.inventory.events import StockReleased, StockReserved, StockReturned, StockShipped
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
)
from handrail.eventstore.pool import Connection
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.newest import newest
from handrail.messaging.envelope import Received


async def handle(connection: Connection, received: Received) -> None:
    match received.event:
        case StockReserved() as event:
            await _line(connection, event, to_pack=event.quantity)
        case StockReleased() as event:
            await _line(connection, event, to_pack=-event.quantity)
        case StockShipped() as event:
            await _line(connection, event, packed=event.quantity)
        case StockReturned() as event:
            await _line(connection, event, came_back=event.quantity)
        case ShipmentBooked(order=order, booking=booking):
            await _list(
                connection, received, order, "to pack", at=received.recorded_at, booking=booking
            )
        case ShipmentCancelled(order=order):
            await _list(connection, received, order, "cancelled", at=received.recorded_at)
        case ShipmentDispatched(order=order, at=at):
            await _list(connection, received, order, "dispatched", at=at)
        case ShipmentDelivered(order=order, at=at):
            await _list(connection, received, order, "delivered", at=at)
        case ShipmentLost(order=order, at=at):
            await _list(connection, received, order, "lost", at=at)
        case other:
            raise TypeError(f"the warehouse does nothing with {type(other).__name__}")


async def _line(
    connection: Connection,
    event: StockReserved | StockReleased | StockShipped | StockReturned,
    *,
    to_pack: int = 0,
    packed: int = 0,
    came_back: int = 0,
) -> None:
    await connection.execute(
        "INSERT INTO packing_lines AS l (order_id, merchant, sku, to_pack, packed, came_back)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (order_id, merchant, sku) DO UPDATE"
        " SET to_pack = l.to_pack + excluded.to_pack, packed = l.packed + excluded.packed,"
        " came_back = l.came_back + excluded.came_back",
        (event.order, event.merchant, event.sku, to_pack, packed, came_back),
    )


async def _list(
    connection: Connection,
    received: Received,
    order: OrderId,
    state: str,
    *,
    at: datetime,
    booking: str = "",
) -> None:
    await connection.execute(
        "INSERT INTO packing_lists AS l"
        " (order_id, state, changed_at, made_from, booking, booked_from)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (order_id) DO UPDATE"
        f" SET {newest('l', 'made_from', 'state', 'changed_at')},"
        f" {newest('l', 'booked_from', 'booking')}",
        (order, state, at, received.version, booking, received.version if booking else 0),
    )


CONSUMER: Final = Consumer(
    name="logistics",
    vhost="logistics",
    queue="packing",
    wants=(
        StockReserved,
        StockReleased,
        StockShipped,
        StockReturned,
        ShipmentBooked,
        ShipmentCancelled,
        ShipmentDispatched,
        ShipmentDelivered,
        ShipmentLost,
    ),
    handle=handle,
    repeated="the quantities of packing lines are counted once more; states and bookings stay",
)
