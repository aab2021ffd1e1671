"""The shipment of an order: whether the carrier comes for it, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from domain.shipping.commands import (
    BookShipment,
    CancelShipment,
    RecordDelivery,
    RecordDispatch,
    RecordLoss,
    ShipmentCommand,
)
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentDeclined,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentEvent,
    ShipmentLost,
)
from handrail.errors import NotPositive, OutOfOrder, OutsideAnswerMissing
from handrail.replies import Accepted, Declined

CATEGORY: Final = "shipment"

Status = Literal["none", "booked", "declined", "cancelled", "dispatched", "delivered", "lost"]
ON_ITS_WAY: Final[frozenset[Status]] = frozenset({"booked", "dispatched"})
HANDED_OVER: Final[frozenset[Status]] = frozenset({"dispatched", "delivered", "lost"})


@dataclass(frozen=True)
class Shipment:
    status: Status = "none"


def evolve(shipment: Shipment, event: ShipmentEvent) -> Shipment:
    match event:
        case ShipmentBooked():
            return replace(shipment, status="booked")
        case ShipmentDeclined():
            return replace(shipment, status="declined")
        case ShipmentCancelled():
            return replace(shipment, status="cancelled")
        case ShipmentDispatched():
            return replace(shipment, status="dispatched")
        case ShipmentDelivered():
            return replace(shipment, status="delivered")
        case ShipmentLost():
            return replace(shipment, status="lost")
        case _:
            assert_never(event)


def decide(command: ShipmentCommand, shipment: Shipment) -> Sequence[ShipmentEvent]:
    match command:
        case BookShipment():
            return _book(command, shipment)
        case CancelShipment():
            return _cancel(command, shipment)
        case RecordDispatch():
            return _dispatch(command, shipment)
        case RecordDelivery():
            return _deliver(command, shipment)
        case RecordLoss():
            return _lose(command, shipment)
        case _:
            assert_never(command)


def _book(command: BookShipment, shipment: Shipment) -> Sequence[ShipmentEvent]:
    if command.parcels <= 0:
        raise NotPositive(f"{command.parcels} parcels")
    if shipment.status == "booked" or shipment.status in HANDED_OVER:
        return []
    match command.reply:
        case Accepted(reference=reference):
            return [ShipmentBooked(order=command.order, booking=reference)]
        case Declined(code=code):
            return [ShipmentDeclined(order=command.order, code=code)]
        case None:
            raise OutsideAnswerMissing(command.order)


def _cancel(command: CancelShipment, shipment: Shipment) -> Sequence[ShipmentEvent]:
    if shipment.status in HANDED_OVER:
        raise OutOfOrder(f"{command.order} is {shipment.status}")
    # The carrier may come for what we never heard of: a booking whose answer was lost. So its
    # reply is asked for, and must be a yes, even where our own state has nothing to cancel.
    if command.reply is None:
        raise OutsideAnswerMissing(command.order)
    if isinstance(command.reply, Declined):
        raise OutOfOrder(f"the carrier does not cancel {command.order}: {command.reply.code}")
    return [ShipmentCancelled(order=command.order)] if shipment.status == "booked" else []


# Reports come late, twice and in any order: the first to tell how it ended is believed.


def _dispatch(command: RecordDispatch, shipment: Shipment) -> Sequence[ShipmentEvent]:
    if shipment.status in HANDED_OVER:
        return []
    if shipment.status != "booked":
        raise OutOfOrder(f"{command.order} is not booked: {shipment.status}")
    return [ShipmentDispatched(order=command.order, at=command.at)]


def _deliver(command: RecordDelivery, shipment: Shipment) -> Sequence[ShipmentEvent]:
    if shipment.status == "delivered":
        return []
    if shipment.status not in ON_ITS_WAY:
        raise OutOfOrder(f"{command.order} is not on its way: {shipment.status}")
    return [ShipmentDelivered(order=command.order, at=command.at)]


def _lose(command: RecordLoss, shipment: Shipment) -> Sequence[ShipmentEvent]:
    if shipment.status == "lost":
        return []
    if shipment.status not in ON_ITS_WAY:
        raise OutOfOrder(f"{command.order} is not on its way: {shipment.status}")
    return [ShipmentLost(order=command.order, at=command.at, cause=command.cause)]
