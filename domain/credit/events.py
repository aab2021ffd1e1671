"""Stored for ever: names and fields here are a contract, changed only by a new version.

`limit`, `held` and `used` are the line's figures after the event: a reader needs no history.
"""

from dataclasses import dataclass
from typing import get_args

from domain.identifiers import CustomerId, OrderId
from handrail.kernel import Event, Money, Refusal


@dataclass(frozen=True, kw_only=True)
class LimitAssigned(Event, context="credit"):
    customer: CustomerId
    limit: Money
    held: Money
    used: Money


@dataclass(frozen=True, kw_only=True)
class CreditHeld(Event, context="credit"):
    customer: CustomerId
    order: OrderId
    amount: Money
    held: Money
    used: Money


@dataclass(frozen=True, kw_only=True)
class CreditRefused(Refusal, context="credit"):
    customer: CustomerId
    order: OrderId
    amount: Money
    missing: Money

    @property
    def reason(self) -> str:
        return f"{self.missing} over the credit limit"


@dataclass(frozen=True, kw_only=True)
class CreditReleased(Event, context="credit"):
    customer: CustomerId
    order: OrderId
    amount: Money
    held: Money
    used: Money


@dataclass(frozen=True, kw_only=True)
class CreditConsumed(Event, context="credit"):
    """The hold became a debt, to be paid back by instalments."""

    customer: CustomerId
    order: OrderId
    amount: Money
    held: Money
    used: Money


@dataclass(frozen=True, kw_only=True)
class CreditRestored(Event, context="credit"):
    """Part of a debt came back by `payment`, which may be a return. It may be lent again."""

    customer: CustomerId
    order: OrderId
    amount: Money
    held: Money
    used: Money
    payment: str = ""


@dataclass(frozen=True, kw_only=True)
class DebtWrittenOff(Event, context="credit"):
    """A debt was lost, and the limit is lower by as much."""

    customer: CustomerId
    order: OrderId
    amount: Money
    limit: Money
    held: Money
    used: Money


CreditEvent = (
    LimitAssigned
    | CreditHeld
    | CreditRefused
    | CreditReleased
    | CreditConsumed
    | CreditRestored
    | DebtWrittenOff
)
EVENTS: tuple[type, ...] = get_args(CreditEvent)
