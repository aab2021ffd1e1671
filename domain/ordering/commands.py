from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from domain.command_fields import ShopCommand
from domain.identifiers import CustomerId, MerchantId, OrderId, ReturnId
from domain.ordering.events import OrderLine, ReturnLine, Why
from handrail.kernel import Money


@dataclass(frozen=True, kw_only=True)
class PlaceOrder(ShopCommand, context="ordering"):
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    lines: tuple[OrderLine, ...]
    total: Money
    down_payment: Money
    instalments: int
    placed_at: datetime


@dataclass(frozen=True, kw_only=True)
class RejectOrder(ShopCommand, context="ordering"):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class ConfirmOrder(ShopCommand, context="ordering"):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class RequestReview(ShopCommand, context="ordering"):
    """A person is to look at the order. It stands, or does not, all the same."""

    order: OrderId
    total: Money


@dataclass(frozen=True, kw_only=True)
class CloseReview(ShopCommand, context="ordering"):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class CompleteOrder(ShopCommand, context="ordering"):
    """The customer has it."""

    order: OrderId
    completed_at: datetime


@dataclass(frozen=True, kw_only=True)
class AcceptReturn(ShopCommand, context="ordering"):
    """`value` is what the lines cost, so that nobody reckons with another amount."""

    order: OrderId
    return_id: ReturnId
    lines: tuple[ReturnLine, ...]
    value: Money
    why: Why
    accepted_at: datetime


@dataclass(frozen=True, kw_only=True)
class WithdrawReturn(ShopCommand, context="ordering"):
    order: OrderId
    return_id: ReturnId


@dataclass(frozen=True, kw_only=True)
class CompleteReturn(ShopCommand, context="ordering"):
    order: OrderId
    return_id: ReturnId


ReturnCommand = AcceptReturn | WithdrawReturn | CompleteReturn
OrderCommand = (
    PlaceOrder
    | RejectOrder
    | ConfirmOrder
    | RequestReview
    | CloseReview
    | CompleteOrder
    | ReturnCommand
)
COMMANDS: tuple[type, ...] = get_args(OrderCommand)
