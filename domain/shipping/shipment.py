"""The shipment of an order: whether the carrier comes for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from domain.errors import NotPositive, OutOfOrder, OutsideAnswerMissing
from domain.shipping.commands import (
    Booked,
    BookShipment,
    CancelShipment,
    NotBooked,
    ShipmentCommand,
)
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentDeclined,
    ShipmentEvent,
)

CATEGORY: Final = "shipment"

Status = Literal["none", "booked", "declined", "cancelled"]


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
        case _:
            assert_never(event)


def decide(command: ShipmentCommand, shipment: Shipment) -> Sequence[ShipmentEvent]:
    match command:
        case BookShipment():
            return _book(command, shipment)
        case CancelShipment():
            return _cancel(command, shipment)
        case _:
            assert_never(command)


def _book(command: BookShipment, shipment: Shipment) -> Sequence[ShipmentEvent]:
    if command.parcels <= 0:
        raise NotPositive(f"{command.parcels} parcels")
    if shipment.status == "booked":
        return []
    match command.reply:
        case Booked(reference=reference):
            return [ShipmentBooked(order=command.order, booking=reference)]
        case NotBooked(code=code):
            return [ShipmentDeclined(order=command.order, code=code)]
        case None:
            raise OutsideAnswerMissing(command.order)


def _cancel(command: CancelShipment, shipment: Shipment) -> Sequence[ShipmentEvent]:
    # The carrier may come for what we never heard of: a booking whose answer was lost. So its
    # reply is asked for, and must be a yes, even where our own state has nothing to cancel.
    if command.reply is None:
        raise OutsideAnswerMissing(command.order)
    if isinstance(command.reply, NotBooked):
        raise OutOfOrder(f"the carrier does not cancel {command.order}: {command.reply.code}")
    return [ShipmentCancelled(order=command.order)] if shipment.status == "booked" else []
