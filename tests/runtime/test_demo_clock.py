"""The demo puts the clock of a plan forward so far that the next instalment is collected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from domain.payments.due_dates import monthly
from domain.payments.plan_state import Instalment
from runtime.demo.after_checkout import A_MONTH
from tests.controls import eur
from workflows.dunning import Dunning

DAYS: Final = 4 * 365 + 1
INSTALMENTS: Final = 24


def asked_for(opened_at: datetime) -> list[datetime]:
    """When each instalment is asked for of a plan that was opened then."""
    [_, *planned] = monthly(eur(INSTALMENTS + 1), INSTALMENTS + 1, opened_at.date())
    return [Dunning().when(Instalment(one.number, one.due, one.amount, eur(0))) for one in planned]


def test_each_month_of_the_demo_brings_an_instalment_whenever_it_begins() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for opened_at in (began + timedelta(days=day) for day in range(DAYS)):
        for number, due_at in enumerate(asked_for(opened_at), start=1):
            assert due_at <= opened_at + number * A_MONTH, (opened_at, number)
