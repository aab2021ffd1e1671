from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given

from domain.identifiers import CustomerId, OrderId, ReturnId
from domain.payments import plan
from domain.payments.commands import OpenPlan
from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    InstalmentMissed,
    InstalmentRescheduled,
    LateFeeCharged,
    PlanAdjusted,
    PlannedInstalment,
    PlanWrittenOff,
    Reduction,
    RefundPaid,
)
from domain.payments.plan import InstalmentPlan
from handrail.access.principal import EVERYTHING
from handrail.kernel import Event
from handrail.projections.projection import OutOfPlace
from projections import instalment_plan
from projections.instalment_plan import PROJECTION
from tests.controls import eur
from tests.domain.walks import plan_commands, walk
from tests.inputs import inputs
from tests.projections import folds
from tests.projections.folds import at, folded, told
from tests.projections.world import World

ORDER, ANN, BACK = OrderId("1"), CustomerId("ann"), ReturnId("r1")
FIRST, SECOND = date(2026, 4, 2), date(2026, 5, 2)
after = partial(folds.after, PROJECTION)


def opened(order: OrderId = ORDER, customer: CustomerId = ANN, first_due: date = FIRST) -> Event:
    command = OpenPlan(
        order=order,
        customer=customer,
        financed=eur(60),
        instalments=2,
        card="card-1",
        first_due=first_due,
    )
    [event] = plan.decide(command, InstalmentPlan())
    return event


OPENED = opened()
COLLECTED = InstalmentCollected(
    order=ORDER, number=1, principal=eur(30), fees=eur(5), charge="bank-1"
)
MISSED = InstalmentMissed(order=ORDER, number=1, amount=eur(30), code="no-funds")
FEE = LateFeeCharged(order=ORDER, number=1, fee=eur(5), reminder=1)
ADJUSTED = PlanAdjusted(
    order=ORDER,
    return_id=BACK,
    value=eur(70),
    absorbed=eur(30),
    refund=eur(40),
    reductions=(Reduction(number=2, amount=eur(30)),),
)


def item(number: int, due: date, **more: Any) -> dict[str, Any]:
    plain = {"status": "due", "amount": 30, "fees": 0, "paid": 0, "missed": 0}
    return {"number": number, "due": due.isoformat(), **plain, **more}


def test_a_new_plan_is_all_due() -> None:
    assert after(OPENED) == instalment_plan.InstalmentPlan(
        order="1",
        customer="ann",
        currency="EUR",
        financed=60,
        outstanding=60,
        next_due=FIRST,
        schedule=[item(1, FIRST), item(2, SECOND)],
        opened_at=at(1),
        updated_at=at(1),
    )


def test_a_plan_is_of_the_merchant_that_the_step_was_for() -> None:
    [happened] = told([OPENED])
    known = dataclasses.replace(happened, metadata={"actor": "ann", "merchant": "shop-7"})
    row = folded(PROJECTION, [known])
    assert row is not None
    assert row.merchant == "shop-7"
    assert after(OPENED).merchant == "", "of plans that say nothing, no merchant sees any"


def test_a_missed_instalment_costs_a_fee_until_it_is_collected() -> None:
    missed = after(OPENED, MISSED, FEE)
    assert (missed.missed, missed.fees, missed.outstanding) == (1, 5, 60)

    paid = after(OPENED, MISSED, FEE, COLLECTED)
    assert (paid.missed, paid.fees, paid.outstanding) == (0, 0, 30)
    assert (paid.paid, paid.paid_fees, paid.next_due) == (30, 5, SECOND)
    assert paid.schedule[0] == item(1, FIRST, status="collected", amount=0, paid=30, missed=1)


def test_what_moved_is_due_later() -> None:
    later = SECOND + timedelta(days=3)
    moved = InstalmentRescheduled(order=ORDER, number=1, due=later)
    assert after(OPENED, moved).next_due == SECOND


def test_what_was_given_up_is_not_due() -> None:
    row = after(OPENED, PlanWrittenOff(order=ORDER, principal=eur(60), fees=eur(0)))
    assert (row.status, row.outstanding, row.written_off, row.next_due) == (
        "written_off",
        0,
        60,
        None,
    )


def test_a_return_is_shown_until_it_is_reverted() -> None:
    adjusted = after(OPENED, COLLECTED, ADJUSTED)
    assert adjusted.status == "settled"
    shown = {"value": 70, "absorbed": 30, "refund": 40, "refunded": False}
    assert adjusted.adjustments == {"r1": shown}

    paid = RefundPaid(order=ORDER, return_id=BACK, amount=eur(40), refund="bank-2")
    refunded = after(OPENED, COLLECTED, ADJUSTED, paid)
    assert refunded.adjustments["r1"]["refunded"]

    again = PlannedInstalment(number=2, due=SECOND, amount=eur(30))
    back = AdjustmentReverted(order=ORDER, return_id=BACK, instalments=(again,))
    reverted = after(OPENED, COLLECTED, ADJUSTED, back)
    assert (reverted.status, reverted.outstanding, reverted.adjustments) == ("open", 30, {})


def test_an_instalment_without_a_plan_is_out_of_place() -> None:
    with pytest.raises(OutOfPlace):
        after(COLLECTED)


@inputs(60, few=20)
@given(plan_commands())
def test_an_instalment_plan_shows_what_the_plan_is(commands: Sequence[Any]) -> None:
    walked = list(walk(plan, InstalmentPlan(), commands))
    row = folded(
        PROJECTION,
        [one for one in told([e for e, _ in walked]) if type(one.event) in PROJECTION.handles],
    )
    if row is None:
        return
    state: InstalmentPlan = walked[-1][1]

    assert row.status == state.status
    assert (row.financed, row.outstanding) == (state.financed.amount, state.outstanding.amount)
    assert (row.paid, row.paid_fees) == (state.paid_principal.amount, state.paid_fees.amount)
    assert row.fees == state.fees_due.amount
    assert row.next_due == min((one.due for one in state.due), default=None)
    assert [(one["number"], one["status"], one["amount"]) for one in row.schedule] == [
        (one.number, one.status, one.amount.amount) for one in state.instalments
    ]
    assert set(row.adjustments) == set(state.adjustments)
    absorbed = sum(one["absorbed"] for one in row.adjustments.values())
    assert row.financed == row.paid + row.outstanding + row.written_off + absorbed


async def test_plans_are_listed_by_customer_and_status_and_when_overdue(world: World) -> None:
    for number in range(5):
        customer = CustomerId("ann" if number % 2 else "bob")
        order = OrderId(f"o{number}")
        plan_ = opened(order, customer, FIRST + timedelta(days=number))
        await world.append(f"plan-{order}", plan_)
    given_up = PlanWrittenOff(order=OrderId("o3"), principal=eur(60), fees=eur(0))
    await world.append("plan-o3", given_up)
    await world.catch_up()

    async with world.engine.connect() as connection:

        async def listed(**asked: Any) -> list[str]:
            found = await instalment_plan.plans(connection, visible=EVERYTHING, **asked)
            return [row.order for row in found.rows]

        one = await instalment_plan.plan(connection, "o1")
        none = await instalment_plan.plan(connection, "x")
        assert await listed() == ["o4", "o3", "o2", "o1", "o0"]
        assert await listed(customer="ann") == ["o3", "o1"]
        assert await listed(customer="ann", status="open") == ["o1"]
        today = FIRST + timedelta(days=2)
        first = await instalment_plan.overdue(connection, today, limit=1)
        rest = await instalment_plan.overdue(connection, today, limit=1, after=first.next)
        anns = await instalment_plan.overdue(connection, today, customer="ann")

    assert one is not None
    assert one.next_due == FIRST + timedelta(days=1)
    assert one.schedule[0] == item(1, FIRST + timedelta(days=1))
    assert none is None
    assert [row.order for row in (*first.rows, *rest.rows)] == ["o0", "o1"]
    assert rest.next is None
    assert [row.order for row in anns.rows] == ["o1"]
