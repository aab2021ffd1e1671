from dataclasses import dataclass
from typing import get_args

from domain.command_fields import ShopCommand
from domain.identifiers import CustomerId, OrderId
from handrail.kernel import Money


@dataclass(frozen=True, kw_only=True)
class AssignLimit(ShopCommand, context="credit"):
    customer: CustomerId
    limit: Money


@dataclass(frozen=True, kw_only=True)
class HoldCredit(ShopCommand, context="credit"):
    customer: CustomerId
    order: OrderId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class ReleaseCredit(ShopCommand, context="credit"):
    customer: CustomerId
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class ConsumeCredit(ShopCommand, context="credit"):
    customer: CustomerId
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class RestoreCredit(ShopCommand, context="credit"):
    """Part of the debt came back by the payment, or the return, that `payment` names."""

    customer: CustomerId
    order: OrderId
    payment: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class WriteOffDebt(ShopCommand, context="credit"):
    """All that the order owes is lost, and as much is never lent again."""

    customer: CustomerId
    order: OrderId
    amount: Money


CreditCommand = (
    AssignLimit | HoldCredit | ReleaseCredit | ConsumeCredit | RestoreCredit | WriteOffDebt
)
COMMANDS: tuple[type, ...] = get_args(CreditCommand)
