"""Stored for ever: names and fields here are a contract, changed only by a new version."""

from dataclasses import dataclass
from datetime import datetime

from domain.kernel import CustomerId, Event, MerchantId, Money, OrderId, Sku


@dataclass(frozen=True, kw_only=True)
class OrderLine:
    sku: Sku
    quantity: int
    unit_price: Money


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(Event):
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    lines: tuple[OrderLine, ...]
    total: Money
    down_payment: Money
    instalments: int
    placed_at: datetime


@dataclass(frozen=True, kw_only=True)
class OrderRejected(Event):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class OrderConfirmed(Event):
    order: OrderId


OrderEvent = OrderPlaced | OrderRejected | OrderConfirmed
EVENTS = (OrderPlaced, OrderRejected, OrderConfirmed)
