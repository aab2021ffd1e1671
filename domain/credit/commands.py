from dataclasses import dataclass

from domain.kernel import Command, CustomerId, Money, OrderId


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
    """`outstanding` is what the order still owes afterwards, so asking twice changes nothing."""

    customer: CustomerId
    order: OrderId
    outstanding: Money


CreditCommand = AssignLimit | HoldCredit | ReleaseCredit | ConsumeCredit | RestoreCredit
COMMANDS = (AssignLimit, HoldCredit, ReleaseCredit, ConsumeCredit, RestoreCredit)
