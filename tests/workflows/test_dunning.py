"""When an instalment is asked for, reckoned without a process."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from domain.payments.plan_state import Instalment, InstalmentPlan
from tests.controls import eur
from workflows.dunning import Dunning, Terms

DUE = date(2026, 3, 31)
NINE = datetime(2026, 3, 31, 9, tzinfo=UTC)
TERMS = Terms(again_after_days=(3, 7, 14))


def an_instalment(number: int = 1, due: date = DUE) -> Instalment:
    return Instalment(number=number, due=due, amount=eur(10_00), fees=eur(0))


def missed(times: int) -> Dunning:
    """Asked for again each time when it said so."""
    dunning, one = Dunning(), an_instalment()
    for _ in range(times):
        now = dunning.when(one)
        dunning = dunning.with_miss(one.number)
        dunning = dunning.with_pause(one.number, now, TERMS)
    return dunning


def test_it_is_asked_for_at_nine_on_the_day_it_is_due() -> None:
    assert Dunning().when(an_instalment()) == NINE


def test_each_miss_is_followed_by_a_longer_pause() -> None:
    asked = [missed(times).when(an_instalment()) for times in range(4)]
    assert [at - NINE for at in asked] == [timedelta(days=days) for days in (0, 3, 10, 24)]


def test_the_second_miss_is_late_and_the_fourth_is_the_last() -> None:
    assert [missed(times).is_late(1) for times in range(4)] == [False, False, True, True]
    given_up = [missed(times).is_given_up(1, TERMS) for times in range(5)]
    assert given_up == [False, False, False, False, True]


def test_what_was_taken_back_without_a_miss_is_asked_for_after_the_first_pause() -> None:
    dunning = Dunning().with_pause(1, NINE, TERMS)
    assert dunning.when(an_instalment()) == NINE + timedelta(days=3)
    assert dunning.misses(1) == 0


def test_a_new_date_counts_from_then_on_and_the_misses_stay() -> None:
    dunning = missed(2).without_pause(1)
    assert dunning.when(an_instalment()) == NINE
    assert dunning.misses(1) == 2


def test_what_is_due_first_is_asked_for_first_and_nothing_else() -> None:
    later = an_instalment(2, DUE + timedelta(days=2))
    plan = InstalmentPlan(status="open", instalments=(later, an_instalment()))
    assert Dunning().next(plan) == an_instalment()
    assert missed(1).next(plan) == later
    assert Dunning().next(InstalmentPlan(status="settled")) is None
