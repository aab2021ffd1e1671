from dataclasses import dataclass

from handrail.kernel import Command, CustomerId, Money, OrderId


@dataclass(frozen=True, kw_only=True)
class AssignLimit(Command):
    customer: CustomerId
    limit: Money


@dataclass(frozen=True, kw_only=True)
class HoldCredit(Command):
    customer: CustomerId
    order: OrderId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class ReleaseCredit(Command):
    customer: CustomerId
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class ConsumeCredit(Command):
    customer: CustomerId
    order: OrderId


@dataclass(frozen=True, kw_only=True)
class RestoreCredit(Command):
    """Part of the debt came back by the payment, or the return, that `payment` names."""

    customer: CustomerId
    order: OrderId
    payment: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class WriteOffDebt(Command):
    """All that the order owes is lost, and as much is never lent again."""

    customer: CustomerId
    order: OrderId
    amount: Money


CreditCommand = (
    AssignLimit | HoldCredit | ReleaseCredit | ConsumeCredit | RestoreCredit | WriteOffDebt
)
COMMANDS = (AssignLimit, HoldCredit, ReleaseCredit, ConsumeCredit, RestoreCredit, WriteOffDebt)
