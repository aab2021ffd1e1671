"""The context `budgets`: what a team may spend, and what is held or spent for which trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from handrail.errors import OutOfOrder
from handrail.kernel import Command, Event, Money, Refusal, TenantId
from trips.domain.messages import TripId


@dataclass(frozen=True, kw_only=True)
class Sum:
    """Of a command or an event: whose money, and how much."""

    team: TenantId
    amount: Money


@dataclass(frozen=True, kw_only=True)
class Spending(Sum):
    trip: TripId


class GrantBudget(Sum, Command, context="budgets"): ...


class HoldMoney(Spending, Command, context="budgets"): ...


class ReleaseMoney(Spending, Command, context="budgets"): ...


class SpendMoney(Spending, Command, context="budgets"):
    """The pivot: the trip is made."""


class BudgetGranted(Sum, Event, context="budgets"): ...


class MoneyHeld(Spending, Event, context="budgets"): ...


class BudgetExceeded(Spending, Refusal, context="budgets"): ...


class MoneyReleased(Spending, Event, context="budgets"): ...


class MoneySpent(Spending, Event, context="budgets"): ...


BudgetCommand = GrantBudget | HoldMoney | ReleaseMoney | SpendMoney
BudgetEvent = BudgetGranted | MoneyHeld | BudgetExceeded | MoneyReleased | MoneySpent
COMMANDS: tuple[type, ...] = get_args(BudgetCommand)
EVENTS: tuple[type, ...] = get_args(BudgetEvent)


@dataclass(frozen=True)
class Budget:
    """`granted` and `free` are minor units of the currency; `held` and `spent` are trips."""

    currency: str = ""
    granted: int = 0
    free: int = 0
    held: frozenset[str] = frozenset()
    spent: frozenset[str] = frozenset()


def decide(command: BudgetCommand, budget: Budget) -> Sequence[BudgetEvent]:
    match command:
        case GrantBudget(amount=amount):
            return [] if budget.granted == amount.amount else [BudgetGranted(**vars(command))]
        case HoldMoney(trip=trip, amount=amount):
            fits = amount.currency == budget.currency and amount.amount <= budget.free
            known = trip in budget.held | budget.spent
            return [] if known else [(MoneyHeld if fits else BudgetExceeded)(**vars(command))]
        case ReleaseMoney(trip=trip):
            return [MoneyReleased(**vars(command))] if trip in budget.held else []
        case SpendMoney(trip=trip):
            if trip not in budget.held | budget.spent:
                raise OutOfOrder(f"no money is held for {trip}")
            return [MoneySpent(**vars(command))] if trip in budget.held else []


def evolve(budget: Budget, event: BudgetEvent) -> Budget:
    amount, held = event.amount.amount, budget.held
    match event:
        case BudgetGranted():
            free = budget.free + amount - budget.granted
            return replace(budget, currency=event.amount.currency, granted=amount, free=free)
        case MoneyHeld(trip=trip):
            return replace(budget, free=budget.free - amount, held=held | {trip})
        case MoneyReleased(trip=trip):
            return replace(budget, free=budget.free + amount, held=held - {trip})
        case MoneySpent(trip=trip):
            return replace(budget, held=held - {trip}, spent=budget.spent | {trip})
        case BudgetExceeded():
            return budget
