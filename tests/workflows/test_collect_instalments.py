"""What is owed is collected when it is due, asked for again when it is missed, or given up."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from domain.credit.events import CreditRestored, DebtWrittenOff
from domain.payments.due_dates import months_after
from domain.payments.events import (
    InstalmentCollected,
    InstalmentMissed,
    LateFeeCharged,
    SettlementDeclined,
)
from handrail.kernel import stream_name
from handrail.sagas.visibility import SAGA_STATUS
from handrail.testing.running_saga import Running, eventually
from tests.controls import eur
from tests.workflows.collecting import LIMIT, Plan, a_plan, skipping_time, told
from tests.workflows.ordered import TODAY
from tests.world import World
from workflows import collect_instalment
from workflows.collect_instalment import CollectInstalmentWorkflow, DueInstalment
from workflows.collect_instalments import WISHES_A_RUN, CollectInstalmentsWorkflow
from workflows.dunning import Terms
from workflows.plan_collection import Progress

FIRST_DUE = months_after(TODAY.date(), 1)
DAY = timedelta(days=1)


@pytest.fixture
def soon(world: World, temporal: WorkflowEnvironment) -> World:
    return skipping_time(world, temporal)


async def restored(plan: Plan) -> list[str]:
    credit = stream_name("credit", plan.customer)
    return [one.payment for one in await told(plan.world, credit, CreditRestored)]


def collection_of(plan: Plan, number: int) -> Running:
    """As it is begun by the process that collects the plan."""
    due = DueInstalment(
        order=plan.order,
        customer=plan.customer,
        merchant=plan.merchant,
        number=number,
        principal=eur(10_00),
        fees=eur(0),
        card="card_ok",
    )
    return Running(
        world=plan.world,
        id=collect_instalment.saga_id(plan.order, number),
        workflow=CollectInstalmentWorkflow,
        input=due,
        options=plan.options,
    )


@pytest.mark.thorough
async def test_a_plan_of_twelve_months_is_collected_month_by_month(soon: World) -> None:
    plan = await a_plan(soon, instalments=12)
    await plan.is_collected()
    assert (await plan.ends()).status == "settled"
    assert await plan.charges() == [eur(10_00)] * 12
    assert await restored(plan) == [f"instalment-{number}" for number in range(1, 13)]
    for month in range(12):
        [day] = await plan.asked_for_on(month + 1)
        assert day >= months_after(FIRST_DUE, month)


async def test_what_was_missed_once_is_asked_for_again_after_three_days(soon: World) -> None:
    plan = await a_plan(soon, instalments=1, card="card_charge_declined_1")
    await plan.is_collected()
    assert (await plan.ends()).status == "settled"
    assert await plan.asked_for_on(1) == [FIRST_DUE, FIRST_DUE + 3 * DAY]
    assert await plan.charges() == [eur(10_00)]


async def test_from_the_second_miss_on_each_costs_a_fee(soon: World) -> None:
    plan = await a_plan(soon, instalments=1, card="card_charge_declined_3")
    await plan.is_collected()
    assert (await plan.ends()).paid_fees == eur(10_00)
    assert [one.reminder for one in await plan.told(LateFeeCharged)] == [2, 3]
    assert await plan.charges() == [eur(20_00)]


async def test_what_is_never_paid_is_given_up_and_not_lent_again(soon: World) -> None:
    plan = await a_plan(soon, instalments=2, card="card_charge_declined")
    await plan.is_collected()
    assert (await plan.ends()).status == "written_off"
    first = [one for one in await plan.told(InstalmentMissed) if one.number == 1]
    assert len(first) == 4
    credit = stream_name("credit", plan.customer)
    [lost] = await told(soon, credit, DebtWrittenOff)
    assert (lost.amount, lost.limit) == (eur(20_00), LIMIT - eur(20_00))
    assert await plan.charges() == []


async def test_all_that_is_left_can_be_paid_at_once(world: World) -> None:
    plan = await a_plan(world)
    await plan.is_collected()
    await plan.is_read()
    await plan.is_to_be_paid()
    assert (await plan.ends()).status == "settled"
    assert await plan.charges() == [eur(30_00)]
    assert await restored(plan) == ["settlement"]


async def test_a_declined_settlement_leaves_the_plan_as_it_was(world: World) -> None:
    plan = await a_plan(world)
    before = await plan.stands()
    await plan.is_collected()
    await plan.is_read()
    await plan.is_to_be_paid(card="card_charge_declined")

    async def declined() -> bool:
        return len(await plan.told(SettlementDeclined)) == 1

    await eventually(declined, "the settlement is declined")
    assert await plan.stands() == before

    async def is_asked_again() -> bool:
        try:
            await plan.is_to_be_paid(card="card_ok")
        except WorkflowUpdateFailedError:  # the saga that was declined has not ended yet
            return False
        return True

    await eventually(is_asked_again, "the settlement is asked for again")
    assert (await plan.ends()).status == "settled"


async def test_an_instalment_is_collected_on_the_day_it_was_moved_to(soon: World) -> None:
    plan = await a_plan(soon, instalments=2)
    gate = collection_of(plan, 1).is_held("CollectInstalment")
    await plan.is_collected()
    await gate.reached()
    new = months_after(FIRST_DUE, 1) + 5 * DAY
    await plan.is_moved(2, new)
    gate.open()
    await plan.ends()
    assert await plan.asked_for_on(2) == [new]


async def test_what_is_being_collected_can_be_neither_moved_nor_paid_otherwise(
    soon: World,
) -> None:
    plan = await a_plan(soon, instalments=1)
    gate = collection_of(plan, 1).is_held("CollectInstalment")
    await plan.is_collected()
    await gate.reached()
    with pytest.raises(WorkflowUpdateFailedError):
        await plan.is_moved(1, FIRST_DUE + 60 * DAY)
    with pytest.raises(WorkflowUpdateFailedError):
        await plan.is_to_be_paid()
    gate.open()
    await plan.ends()
    assert await plan.charges() == [eur(10_00)]


async def test_a_date_that_breaks_a_rule_is_refused_with_the_reason(world: World) -> None:
    plan = await a_plan(world)
    await plan.is_collected()
    await plan.is_read()
    with pytest.raises(WorkflowUpdateFailedError) as too_early:
        await plan.is_moved(2, FIRST_DUE - DAY)
    cause = too_early.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "OutOfOrder"
    assert "instalment 1 is due" in cause.message
    with pytest.raises(WorkflowUpdateFailedError):
        await plan.is_moved(1, TODAY.date() - 2 * DAY)
    await plan.is_moved(1, TODAY.date())
    # Nine o'clock of today may be over, or it is waited for: both are right.
    moved = (await plan.stands()).instalment(1)
    assert moved is not None
    assert moved.due == TODAY.date()


async def test_a_collection_that_was_terminated_is_gone_on_with_by_the_next_attempt(
    soon: World,
) -> None:
    plan = await a_plan(soon, instalments=1)
    one = collection_of(plan, 1)
    gate = one.is_held("CollectInstalment")
    await plan.is_collected()
    await gate.reached()
    await one.is_terminated()

    async def is_parked() -> bool:
        shown = (await plan.handle.describe()).typed_search_attributes
        return shown.get(SAGA_STATUS) == "parked"

    await eventually(is_parked, "the process waits for a person")
    one.recovers("CollectInstalment")
    await gate.landed()
    await one.is_started_again()
    assert (await plan.ends()).status == "settled"
    assert await plan.charges() == [eur(10_00)]


LONG_AGO = months_after(TODAY.date(), -6)
AT_ONCE = Terms(again_after_days=())
"""What is missed is given up."""


async def test_an_instalment_that_waits_for_a_person_is_in_nobodys_way(world: World) -> None:
    plan = await a_plan(world, first_due=LONG_AGO, patience=1)
    first = collection_of(plan, 1)
    first.fails("CollectInstalment")
    await plan.is_collected()

    async def others_are_collected() -> bool:
        return [one.number for one in await plan.told(InstalmentCollected)] == [2, 3]

    await eventually(others_are_collected, "2 and 3 are collected")
    await eventually(partial(is_refused, plan, f"{first.id} is under way"), "it is told why")
    first.recovers("CollectInstalment")
    await first.is_told("retry")
    assert (await plan.ends()).status == "settled"
    assert await plan.charges() == [eur(10_00)] * 3


async def is_refused(plan: Plan, why: str) -> bool:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await plan.is_to_be_paid()
    return why in str(refused.value.cause)


@pytest.mark.thorough
async def test_nothing_is_given_up_while_a_person_has_to_look_into_an_instalment(
    world: World,
) -> None:
    """What is lost is known once that has ended."""
    plan = await a_plan(
        world, instalments=2, card="card_charge_declined", first_due=LONG_AGO, patience=1
    )
    first = collection_of(plan, 1)
    first.fails("CollectInstalment")
    await plan.is_collected(terms=AT_ONCE)

    async def is_paused() -> bool:
        progress = await plan.handle.query(CollectInstalmentsWorkflow.progress)
        return progress.dunning.missed == {2: 1} and 2 in progress.dunning.again_at

    await eventually(is_paused, "2 would have been given up")
    assert (await plan.stands()).status == "open"
    first.recovers("CollectInstalment")
    await first.is_told("retry")
    assert (await plan.ends()).status == "written_off"


async def test_a_run_that_is_full_hands_on_what_is_being_collected(world: World) -> None:
    plan = await a_plan(world, first_due=LONG_AGO, instalments=1, patience=1)
    first = collection_of(plan, 1)
    first.fails("CollectInstalment")
    await first.starts()
    await first.parks("CollectInstalment")
    await plan.is_collected(progress=Progress(under_way={1: 1}))
    await plan.is_read()
    first.recovers("CollectInstalment")
    await first.is_told("retry")
    assert await first.ends() == WorkflowExecutionStatus.COMPLETED
    assert await plan.charges() == [eur(10_00)]
    assert (await plan.stands()).status == "settled"


@pytest.mark.thorough
async def test_more_wishes_than_one_run_takes_are_heard_by_the_next(world: World) -> None:
    plan = await a_plan(world)
    await plan.is_collected()
    await plan.is_read()
    first = (await plan.handle.describe()).run_id
    third = months_after(FIRST_DUE, 2)
    days = [third + number % 7 * DAY for number in range(WISHES_A_RUN + 20)]
    for number, day in enumerate(days):
        await eventually(partial(is_heard, plan, 3, day, str(number)), f"wish {number} is heard")
    assert (await plan.handle.describe()).run_id != first
    moved = (await plan.stands()).instalment(3)
    assert moved is not None
    assert moved.due == days[-1]
    await plan.is_to_be_paid()
    assert (await plan.ends()).status == "settled"


async def is_heard(plan: Plan, number: int, day: date, wish: str) -> bool:
    """False while a new run has not read the plan yet."""
    try:
        await plan.is_moved(number, day, wish)
    except WorkflowUpdateFailedError:
        return False
    return True


async def test_the_same_wish_is_one_in_whatever_run_it_is_heard(world: World) -> None:
    plan = await a_plan(world)
    yesterday = Progress(opened_on=TODAY.date() - DAY)
    await plan.is_collected(progress=yesterday)
    await plan.is_read()
    await plan.is_moved(3, months_after(FIRST_DUE, 3), wish="one")
    keys = await opened_on_of(world, plan.id)
    assert keys == {yesterday.opened_on}


async def opened_on_of(world: World, saga: str) -> set[date]:
    async with world.pool.connection() as connection:
        rows = await connection.execute("SELECT opened_on FROM commands WHERE saga = %s", (saga,))
        return {day for (day,) in await rows.fetchall()}
