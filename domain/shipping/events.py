"""Stored for ever: names and fields here are a contract, changed only by a new version."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, get_args

from domain.identifiers import OrderId
from handrail.kernel import Event, Refusal
from handrail.personal import Personal


@dataclass(frozen=True, kw_only=True)
class ShipmentBooked(Event, context="shipping"):
    order: OrderId
    booking: str


@dataclass(frozen=True, kw_only=True)
class ShipmentDeclined(Refusal, context="shipping"):
    order: OrderId
    code: str

    @property
    def reason(self) -> str:
        return f"the carrier declined: {self.code}"


@dataclass(frozen=True, kw_only=True)
class ShipmentCancelled(Event, context="shipping"):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class ShipmentDispatched(Event, context="shipping"):
    effective: ClassVar[str] = "at"

    order: OrderId
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ShipmentDelivered(Event, context="shipping"):
    effective: ClassVar[str] = "at"

    order: OrderId
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ShipmentLost(Event, context="shipping"):
    effective: ClassVar[str] = "at"

    order: OrderId
    at: datetime
    cause: Annotated[str, Personal()]


ShipmentEvent = (
    ShipmentBooked
    | ShipmentDeclined
    | ShipmentCancelled
    | ShipmentDispatched
    | ShipmentDelivered
    | ShipmentLost
)
EVENTS: tuple[type, ...] = get_args(ShipmentEvent)
