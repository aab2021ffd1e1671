"""Stored for ever: names and fields here are a contract, changed only by a new version."""

from dataclasses import dataclass
from datetime import datetime

from handrail.kernel import Event, OrderId, Refusal


@dataclass(frozen=True, kw_only=True)
class ShipmentBooked(Event):
    order: OrderId
    booking: str


@dataclass(frozen=True, kw_only=True)
class ShipmentDeclined(Refusal):
    order: OrderId
    code: str

    @property
    def reason(self) -> str:
        return f"the carrier declined: {self.code}"


@dataclass(frozen=True, kw_only=True)
class ShipmentCancelled(Event):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class ShipmentDispatched(Event):
    order: OrderId
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ShipmentDelivered(Event):
    order: OrderId
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ShipmentLost(Event):
    order: OrderId
    at: datetime
    cause: str


ShipmentEvent = (
    ShipmentBooked
    | ShipmentDeclined
    | ShipmentCancelled
    | ShipmentDispatched
    | ShipmentDelivered
    | ShipmentLost
)
EVENTS = (
    ShipmentBooked,
    ShipmentDeclined,
    ShipmentCancelled,
    ShipmentDispatched,
    ShipmentDelivered,
    ShipmentLost,
)
