"""The months of a plan are counted from the day of the order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.payments import plan
from domain.payments.commands import OpenPlan
from domain.payments.events import PlanOpened
from domain.payments.plan import InstalmentPlan
from tests.controls import an_order
from tests.workflows.ordered import a_checkout
from workflows import checkout


@pytest.mark.parametrize(
    ("bought", "dues"),
    [
        ("2026-01-31", ["2026-02-28", "2026-03-31", "2026-04-30"]),
        ("2028-01-30", ["2028-02-29", "2028-03-30", "2028-04-30"]),
        ("2026-03-31", ["2026-04-30", "2026-05-31", "2026-06-30"]),
        ("2026-12-31", ["2027-01-31", "2027-02-28", "2027-03-31"]),
        ("2026-06-15", ["2026-07-15", "2026-08-15", "2026-09-15"]),
    ],
)
def test_instalments_are_due_on_the_day_of_the_order_or_at_the_end_of_a_shorter_month(
    bought: str, dues: list[str]
) -> None:
    placed_at = datetime.fromisoformat(bought).replace(tzinfo=UTC)
    saga = checkout.saga(replace(a_checkout(an_order(instalments=3)), placed_at=placed_at))
    [opens] = [
        duty.do
        for group in saga.retriable_groups
        for duty in group
        if isinstance(duty.do, OpenPlan)
    ]
    [opened] = plan.decide(opens, InstalmentPlan())
    assert isinstance(opened, PlanOpened)
    assert [one.due.isoformat() for one in opened.instalments] == dues
