"""What the context `budgets` decides."""

from __future__ import annotations

from typing import TypeVar

from handrail.errors import OutOfOrder
from handrail.kernel import Money, TenantId
from handrail.testing import Scenario
from trips.domain import budgets
from trips.domain.budgets import (
    Budget,
    BudgetExceeded,
    BudgetGranted,
    HoldMoney,
    MoneyHeld,
    MoneyReleased,
    ReleaseMoney,
    Spending,
    SpendMoney,
)
from trips.domain.messages import TripId

TEAM = TenantId("research")
GRANTED = BudgetGranted(team=TEAM, amount=Money(1_000_00, "EUR"))
BUDGET = Scenario(budgets, Budget()).given(GRANTED)


Said = TypeVar("Said", bound=Spending)


def of(kind: type[Said], amount: int = 1_000_00) -> Said:
    return kind(team=TEAM, trip=TripId("trip-1"), amount=Money(amount, "EUR"))


def test_free_money_is_held() -> None:
    BUDGET.when(of(HoldMoney)).then(of(MoneyHeld))


def test_more_than_is_free_is_refused() -> None:
    BUDGET.when(of(HoldMoney, 1_000_01)).then(of(BudgetExceeded, 1_000_01))


def test_what_was_never_held_is_released_without_an_event() -> None:
    BUDGET.when(of(ReleaseMoney)).then()


def test_released_money_is_free_again() -> None:
    BUDGET.given(of(MoneyHeld), of(MoneyReleased)).when(of(HoldMoney)).then(of(MoneyHeld))


def test_money_is_not_spent_before_it_is_held() -> None:
    BUDGET.when(of(SpendMoney)).then_refuses_rule(OutOfOrder)
