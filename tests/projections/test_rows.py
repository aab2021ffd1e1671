"""Rows: the next one is made from the one before, in memory or as the database has kept it."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from domain.identifiers import CustomerId, OrderId
from domain.payments.events import InstalmentCollected, PlannedInstalment, PlanOpened
from handrail.projections.replace_row import replace
from projections import instalment_plan, merchant_balance
from tests.controls import eur
from tests.projections.folds import after
from tests.projections.stories import Shop
from tests.projections.world import World

PLAN = instalment_plan.PROJECTION


def a_row() -> merchant_balance.MerchantBalance:
    [(_, events), *_] = Shop().opens()
    return after(merchant_balance.PROJECTION, *events)


def test_a_changed_row_is_what_dataclasses_make_of_it() -> None:
    row = a_row()

    changed = replace(row, balance=7, status="closed")

    assert changed == dataclasses.replace(row, balance=7, status="closed")
    assert (row.balance, row.status) == (0, "open")
    with pytest.raises(dataclasses.FrozenInstanceError):
        changed.balance = 8  # type: ignore[misc]


def test_a_field_that_the_row_does_not_have_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="MerchantBalance has no field weather"):
        replace(a_row(), weather="fine")  # type: ignore[call-arg]


async def test_moments_and_days_come_back_from_the_database_as_they_were(world: World) -> None:
    """Each event in a page of its own, so that each finds the row in the database."""
    order = OrderId("1")
    planned = tuple(
        PlannedInstalment(number=number, due=date(2026, number, 1), amount=eur(25_00))
        for number in (1, 2)
    )
    opened = PlanOpened(order=order, customer=CustomerId("c"), card="card-1", instalments=planned)
    paid = [
        InstalmentCollected(
            order=order, number=number, principal=eur(25_00), fees=eur(0), charge="c"
        )
        for number in (1, 2)
    ]
    seen = []
    for event in (opened, *paid):
        await world.append(f"plan-{order}", event)
        await world.catch_up([PLAN], page=1)
        seen.append(await world.rows(PLAN))
        assert seen[-1] == await world.folded(PLAN)

    assert [rows[order]["next_due"] for rows in seen] == [date(2026, 1, 1), date(2026, 2, 1), None]
    assert await world.value("SELECT count(*) FROM parked_events") == 0
