"""Stored for ever: names and fields here are a contract, changed only by a new version.

`available` and `reserved` are the item's figures after the event: a reader needs no history.
"""

from dataclasses import dataclass
from typing import get_args

from domain.identifiers import MerchantId, OrderId, ReturnId, Sku
from handrail.kernel import Event, Refusal


@dataclass(frozen=True, kw_only=True)
class StockReceived(Event, context="inventory"):
    merchant: MerchantId
    sku: Sku
    delivery: str
    quantity: int
    available: int
    reserved: int


@dataclass(frozen=True, kw_only=True)
class StockReserved(Event, context="inventory"):
    merchant: MerchantId
    sku: Sku
    order: OrderId
    quantity: int
    available: int
    reserved: int


@dataclass(frozen=True, kw_only=True)
class StockUnavailable(Refusal, context="inventory"):
    merchant: MerchantId
    sku: Sku
    order: OrderId
    requested: int
    available: int

    @property
    def reason(self) -> str:
        return f"{self.available} of {self.requested} {self.sku} available"


@dataclass(frozen=True, kw_only=True)
class StockReleased(Event, context="inventory"):
    merchant: MerchantId
    sku: Sku
    order: OrderId
    quantity: int
    available: int
    reserved: int


@dataclass(frozen=True, kw_only=True)
class StockShipped(Event, context="inventory"):
    """What was reserved has left the house."""

    merchant: MerchantId
    sku: Sku
    order: OrderId
    quantity: int
    available: int
    reserved: int


@dataclass(frozen=True, kw_only=True)
class StockReturned(Event, context="inventory"):
    """What had left the house is back, and can be sold again."""

    merchant: MerchantId
    sku: Sku
    order: OrderId
    return_id: ReturnId
    quantity: int
    available: int
    reserved: int


StockEvent = (
    StockReceived | StockReserved | StockUnavailable | StockReleased | StockShipped | StockReturned
)
EVENTS: tuple[type, ...] = get_args(StockEvent)
