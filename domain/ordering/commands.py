from dataclasses import dataclass
from datetime import datetime

from domain.ordering.events import OrderLine, ReturnLine, Why
from handrail.kernel import Command, CustomerId, MerchantId, Money, OrderId, ReturnId


@dataclass(frozen=True, kw_only=True)
class PlaceOrder(Command):
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    lines: tuple[OrderLine, ...]
    total: Money
    down_payment: Money
    instalments: int
    placed_at: datetime


@dataclass(frozen=True, kw_only=True)
class RejectOrder(Command):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class ConfirmOrder(Command):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class RequestReview(Command):
    """A person is to look at the order. It stands, or does not, all the same."""

    order: OrderId
    total: Money


@dataclass(frozen=True, kw_only=True)
class CloseReview(Command):
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class CompleteOrder(Command):
    """The customer has it."""

    order: OrderId
    completed_at: datetime


@dataclass(frozen=True, kw_only=True)
class AcceptReturn(Command):
    """`value` is what the lines cost, so that nobody reckons with another amount."""

    order: OrderId
    return_id: ReturnId
    lines: tuple[ReturnLine, ...]
    value: Money
    why: Why
    accepted_at: datetime


@dataclass(frozen=True, kw_only=True)
class WithdrawReturn(Command):
    order: OrderId
    return_id: ReturnId


@dataclass(frozen=True, kw_only=True)
class CompleteReturn(Command):
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
COMMANDS = (
    PlaceOrder,
    RejectOrder,
    ConfirmOrder,
    RequestReview,
    CloseReview,
    CompleteOrder,
    AcceptReturn,
    WithdrawReturn,
    CompleteReturn,
)
