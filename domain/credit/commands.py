from dataclasses import dataclass
from typing import get_args

from domain.identifiers import CustomerId, OrderId
from handrail.kernel import Command, Money


@dataclass(frozen=True, kw_only=True)
class AssignLimit(Command, context="credit"):
    customer: CustomerId
    limit: Money


@dataclass(frozen=True, kw_only=True)
class HoldCredit(Command, context="credit"):
    customer: CustomerId
    order: OrderId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class ReleaseCredit(Command, context="credit"):
    customer: CustomerId
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class ConsumeCredit(Command, context="credit"):
    customer: CustomerId
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class RestoreCredit(Command, context="credit"):
    """Part of the debt came back by the payment, or the return, that `payment` names."""

    customer: CustomerId
    order: OrderId
    payment: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class WriteOffDebt(Command, context="credit"):
    """All that the order owes is lost, and as much is never lent again."""

    customer: CustomerId
    order: OrderId
    amount: Money


CreditCommand = (
    AssignLimit | HoldCredit | ReleaseCredit | ConsumeCredit | RestoreCredit | WriteOffDebt
)
COMMANDS: tuple[type, ...] = get_args(CreditCommand)
