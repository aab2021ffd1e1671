"""The context `budgets`: what a team may spend on trips, and what is held or spent for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never, get_args

from handrail.errors import OutOfOrder
from handrail.kernel import Command, Event, Money, Refusal, TenantId
from trips.domain.messages import TripCommand, TripEvent, TripId


@dataclass(frozen=True, kw_only=True)
class GrantBudget(Command, context="budgets"):
    """The budget becomes `amount` larger, once for each `grant`."""

    team: TenantId
    grant: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class HoldMoney(TripCommand, context="budgets"):
    team: TenantId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class ReleaseMoney(TripCommand, context="budgets"):
    team: TenantId


@dataclass(frozen=True, kw_only=True)
class SpendMoney(TripCommand, context="budgets"):
    """The pivot: the trip is made."""

    team: TenantId


@dataclass(frozen=True, kw_only=True)
class BudgetGranted(Event, context="budgets"):
    team: TenantId
    grant: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class MoneyHeld(TripEvent, context="budgets"):
    team: TenantId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class BudgetExceeded(Refusal, context="budgets"):
    team: TenantId
    trip: TripId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class MoneyReleased(TripEvent, context="budgets"):
    team: TenantId


@dataclass(frozen=True, kw_only=True)
class MoneySpent(TripEvent, context="budgets"):
    team: TenantId
    amount: Money


BudgetCommand = GrantBudget | HoldMoney | ReleaseMoney | SpendMoney
BudgetEvent = BudgetGranted | MoneyHeld | BudgetExceeded | MoneyReleased | MoneySpent
COMMANDS: tuple[type, ...] = get_args(BudgetCommand)
EVENTS: tuple[type, ...] = get_args(BudgetEvent)


@dataclass(frozen=True)
class Budget:
    """In minor units of its currency."""

    currency: str = ""
    free: int = 0
    grants: tuple[str, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    spent: Mapping[str, int] = field(default_factory=dict)


def decide(command: BudgetCommand, budget: Budget) -> Sequence[BudgetEvent]:
    match command:
        case GrantBudget():
            return [] if command.grant in budget.grants else [BudgetGranted(**vars(command))]
        case HoldMoney(trip=trip, amount=amount):
            if trip in budget.held or trip in budget.spent:
                return []
            fits = amount.currency == budget.currency and amount.amount <= budget.free
            return [(MoneyHeld if fits else BudgetExceeded)(**vars(command))]
        case ReleaseMoney(trip=trip):
            return [MoneyReleased(**vars(command))] if trip in budget.held else []
        case SpendMoney(team=team, trip=trip):
            if trip in budget.spent:
                return []
            if trip not in budget.held:
                raise OutOfOrder(f"no money is held for {trip}")
            amount = Money(budget.held[trip], budget.currency)
            return [MoneySpent(team=team, trip=trip, amount=amount)]
        case _:
            assert_never(command)


def evolve(budget: Budget, event: BudgetEvent) -> Budget:
    match event:
        case BudgetGranted(grant=grant, amount=amount):
            return replace(
                budget,
                currency=amount.currency,
                free=budget.free + amount.amount,
                grants=(*budget.grants, grant),
            )
        case MoneyHeld(trip=trip, amount=amount):
            held = {**budget.held, trip: amount.amount}
            return replace(budget, free=budget.free - amount.amount, held=held)
        case MoneyReleased(trip=trip):
            free = budget.free + budget.held[trip]
            return replace(budget, free=free, held=_without(budget.held, trip))
        case MoneySpent(trip=trip, amount=amount):
            spent = {**budget.spent, trip: amount.amount}
            return replace(budget, held=_without(budget.held, trip), spent=spent)
        case BudgetExceeded():
            return budget
        case _:
            assert_never(event)


def _without(amounts: Mapping[str, int], trip: str) -> Mapping[str, int]:
    return {other: amount for other, amount in amounts.items() if other != trip}
