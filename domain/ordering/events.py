"""Stored for ever: names and fields here are a contract, changed only by a new version."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, get_args

from domain.identifiers import CustomerId, MerchantId, OrderId, ReturnId, Sku
from handrail.kernel import Event, Money, Refusal

Why = Literal["returned", "lost"]
"""Why an order comes back: the customer sent it, or it never reached them."""


@dataclass(frozen=True, kw_only=True)
class OrderLine:
    sku: Sku
    quantity: int
    unit_price: Money


@dataclass(frozen=True, kw_only=True)
class ReturnLine:
    sku: Sku
    quantity: int


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(Event, context="ordering"):
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    lines: tuple[OrderLine, ...]
    total: Money
    down_payment: Money
    instalments: int
    placed_at: datetime


@dataclass(frozen=True, kw_only=True)
class OrderRejected(Event, context="ordering"):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class OrderConfirmed(Event, context="ordering"):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class ReviewRequested(Event, context="ordering"):
    order: OrderId
    total: Money


@dataclass(frozen=True, kw_only=True)
class ReviewClosed(Event, context="ordering"):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class OrderCompleted(Event, context="ordering"):
    effective: ClassVar[str] = "completed_at"

    order: OrderId
    completed_at: datetime


@dataclass(frozen=True, kw_only=True)
class ReturnAccepted(Event, context="ordering"):
    """`value` is what the lines cost when they were bought."""

    order: OrderId
    return_id: ReturnId
    lines: tuple[ReturnLine, ...]
    value: Money
    why: Why
    accepted_at: datetime


@dataclass(frozen=True, kw_only=True)
class ReturnRefused(Refusal, context="ordering"):
    order: OrderId
    return_id: ReturnId
    cause: str

    @property
    def reason(self) -> str:
        return self.cause


@dataclass(frozen=True, kw_only=True)
class ReturnWithdrawn(Event, context="ordering"):
    order: OrderId
    return_id: ReturnId


@dataclass(frozen=True, kw_only=True)
class ReturnCompleted(Event, context="ordering"):
    """`everything`: no line is left that did not come back."""

    order: OrderId
    return_id: ReturnId
    everything: bool


ReturnEvent = ReturnAccepted | ReturnRefused | ReturnWithdrawn | ReturnCompleted
OrderEvent = (
    OrderPlaced
    | OrderRejected
    | OrderConfirmed
    | ReviewRequested
    | ReviewClosed
    | OrderCompleted
    | ReturnEvent
)
EVENTS: tuple[type, ...] = get_args(OrderEvent)
