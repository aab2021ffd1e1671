"""Stored for ever: names and fields here are a contract, changed only by a new version."""

from dataclasses import dataclass

from domain.kernel import Event, OrderId, Refusal


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


ShipmentEvent = ShipmentBooked | ShipmentDeclined | ShipmentCancelled
EVENTS = (ShipmentBooked, ShipmentDeclined, ShipmentCancelled)
