"""A customer's credit line: what is promised and what is owed never exceed the limit.

Only open orders are remembered, so the state stays small however long a customer stays. An effect
that arrives after its order was closed finds no trace of it here, and would be let in again: the
event store's fence, one row per saga, attempt, step and direction, is what refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar, assert_never

from domain.credit.commands import (
    AssignLimit,
    ConsumeCredit,
    CreditCommand,
    HoldCredit,
    ReleaseCredit,
    RestoreCredit,
    WriteOffDebt,
)
from domain.credit.events import (
    CreditConsumed,
    CreditEvent,
    CreditHeld,
    CreditRefused,
    CreditReleased,
    CreditRestored,
    DebtWrittenOff,
    LimitAssigned,
)
from domain.identifiers import OrderId
from handrail.errors import ContentDiffers, CurrencyMismatch, NotPositive, OutOfOrder
from handrail.kernel import Money

CATEGORY: Final = "credit"

ValueT = TypeVar("ValueT")

Amounts = Mapping[OrderId, Money]
NO_LIMIT: Final = Money(0, "")


@dataclass(frozen=True)
class CreditLine:
    """`restored` names the payments that made a debt smaller, for as long as it is open."""

    limit: Money = NO_LIMIT
    holds: Amounts = field(default_factory=dict)
    debts: Amounts = field(default_factory=dict)
    restored: Mapping[OrderId, tuple[str, ...]] = field(default_factory=dict)

    @property
    def held(self) -> Money:
        return sum(self.holds.values(), Money(0, self.limit.currency))

    @property
    def used(self) -> Money:
        return sum(self.debts.values(), Money(0, self.limit.currency))

    @property
    def promised(self) -> Amounts:
        return {**self.holds, **self.debts}

    @property
    def available(self) -> Money:
        """Negative after the limit was lowered below what is held and used."""
        return self.limit - self.held - self.used


def evolve(  # noqa: PLR0911  # one arm an event
    line: CreditLine, event: CreditEvent
) -> CreditLine:
    match event:
        case LimitAssigned(limit=limit):
            return replace(line, limit=limit)
        case CreditHeld(order=order, amount=amount):
            return replace(line, holds={**line.holds, order: amount})
        case CreditRefused():
            return line
        case CreditReleased(order=order):
            return replace(line, holds=_without(line.holds, order))
        case CreditConsumed(order=order, amount=amount):
            debts = {**line.debts, order: amount}
            return replace(line, holds=_without(line.holds, order), debts=debts)
        case CreditRestored(order=order, amount=amount, payment=payment):
            remaining = line.debts[order] - amount
            if remaining.amount == 0:
                return _settled(line, order)
            restored = {**line.restored, order: (*line.restored.get(order, ()), payment)}
            return replace(line, debts={**line.debts, order: remaining}, restored=restored)
        case DebtWrittenOff(order=order, limit=limit):
            return replace(_settled(line, order), limit=limit)
        case _:
            assert_never(event)


def _settled(line: CreditLine, order: OrderId) -> CreditLine:
    debts, restored = _without(line.debts, order), _without(line.restored, order)
    return replace(line, debts=debts, restored=restored)


def decide(command: CreditCommand, line: CreditLine) -> Sequence[CreditEvent]:
    match command:
        case AssignLimit():
            return _assign(command, line)
        case HoldCredit():
            return _hold(command, line)
        case ReleaseCredit():
            return _release(command, line)
        case ConsumeCredit():
            return _consume(command, line)
        case RestoreCredit():
            return _restore(command, line)
        case WriteOffDebt():
            return _write_off(command, line)
        case _:
            assert_never(command)


def _assign(command: AssignLimit, line: CreditLine) -> Sequence[CreditEvent]:
    limit = command.limit
    if limit.amount < 0:
        raise NotPositive(str(limit))
    if line.limit == limit:
        return []
    if line.limit != NO_LIMIT and line.limit.currency != limit.currency:
        raise CurrencyMismatch(f"{limit} is not in {line.limit.currency}")
    line = replace(line, limit=limit)
    return [LimitAssigned(customer=command.customer, limit=limit, held=line.held, used=line.used)]


def _hold(command: HoldCredit, line: CreditLine) -> Sequence[CreditEvent]:
    customer, order, amount = command.customer, command.order, command.amount
    if amount.amount <= 0:
        raise NotPositive(str(amount))
    promised = line.promised.get(order)
    if promised == amount:
        return []
    if promised is not None:
        raise ContentDiffers(f"{order} has {promised}, not {amount}")
    available = Money(0, amount.currency) if line.limit == NO_LIMIT else line.available
    if amount > available:
        missing = amount - available
        return [CreditRefused(customer=customer, order=order, amount=amount, missing=missing)]
    held = line.held + amount
    return [CreditHeld(customer=customer, order=order, amount=amount, held=held, used=line.used)]


def _release(command: ReleaseCredit, line: CreditLine) -> Sequence[CreditEvent]:
    if command.order not in line.holds:
        return []
    amount = line.holds[command.order]
    return [
        CreditReleased(
            customer=command.customer,
            order=command.order,
            amount=amount,
            held=line.held - amount,
            used=line.used,
        )
    ]


def _consume(command: ConsumeCredit, line: CreditLine) -> Sequence[CreditEvent]:
    if command.order in line.debts:
        return []
    if command.order not in line.holds:
        raise OutOfOrder(f"nothing is held for {command.order}")
    amount = line.holds[command.order]
    return [
        CreditConsumed(
            customer=command.customer,
            order=command.order,
            amount=amount,
            held=line.held - amount,
            used=line.used + amount,
        )
    ]


def _restore(command: RestoreCredit, line: CreditLine) -> Sequence[CreditEvent]:
    order, amount = command.order, command.amount
    if amount.amount < 0:
        raise NotPositive(str(amount))
    if _is_forgotten(order, line) or command.payment in line.restored.get(order, ()):
        return []
    if amount > line.debts[order]:
        raise OutOfOrder(f"{order} owes {line.debts[order]}, not {amount}")
    if amount.amount == 0:
        return []
    return [
        CreditRestored(
            customer=command.customer,
            order=order,
            amount=amount,
            held=line.held,
            used=line.used - amount,
            payment=command.payment,
        )
    ]


def _write_off(command: WriteOffDebt, line: CreditLine) -> Sequence[CreditEvent]:
    order, amount = command.order, command.amount
    if _is_forgotten(order, line):
        return []
    if amount != line.debts[order]:
        raise OutOfOrder(f"{order} owes {line.debts[order]}, not {amount}")
    limit = line.limit - amount
    return [
        DebtWrittenOff(
            customer=command.customer,
            order=order,
            amount=amount,
            limit=max(limit, Money(0, limit.currency)),
            held=line.held,
            used=line.used - amount,
        )
    ]


def _is_forgotten(order: OrderId, line: CreditLine) -> bool:
    """Whether nothing is left of a debt: it was paid back, written off, or there was none.

    Raises OutOfOrder for an order whose credit is only held.
    """
    if order in line.holds:
        raise OutOfOrder(f"{order} owes nothing yet")
    return order not in line.debts


def _without(amounts: Mapping[OrderId, ValueT], order: OrderId) -> dict[OrderId, ValueT]:
    return {one: value for one, value in amounts.items() if one != order}
