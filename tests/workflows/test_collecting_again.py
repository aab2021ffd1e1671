"""What a return took off a plan and gives back is collected, whoever had ended meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from domain.payments.events import AdjustmentReverted, InstalmentMissed, LateFeeCharged
from handrail.kernel import Money, stream_name
from handrail.sagas.events import SagaEnded
from handrail.testing.faults import A_LONG_TIME
from handrail.testing.running_saga import Running, eventually
from tests.controls import eur
from tests.workflows.collecting import Plan, a_plan, skipping_time, told
from tests.workflows.ordered import Ordered
from tests.workflows.returned import a_delivered_order, a_return, plan_of
from tests.workflows.test_collect_instalments import collection_of
from tests.world import World
from workflows.collect_instalments import CollectInstalmentsWorkflow
from workflows.plan_collection import Progress

RUNNING = WorkflowExecutionStatus.RUNNING


def the_plan_of(order: Ordered) -> Plan:
    return Plan(
        world=order.world,
        order=order.input.order,
        customer=order.input.customer,
        merchant=order.input.merchant,
        options=order.options,
    )


async def status_of(plan: Plan) -> WorkflowExecutionStatus | None:
    return (await plan.handle.describe()).status


async def collection_has_ended(plan: Plan) -> None:
    async with asyncio.timeout(A_LONG_TIME):
        await plan.handle.result()


async def stands_still(back: Running) -> None:
    """Its plan is adjusted, and nobody has decided on the refund."""
    back.breaks_a_rule("RefundPayment")
    await back.starts()
    await back.parks("RefundPayment")


async def is_taken_back(back: Running) -> None:
    await back.is_told("compensate", "RefundPayment")
    await back.ends()


async def test_what_a_refused_return_gives_back_is_collected_though_all_had_ended(
    world: World,
) -> None:
    order = await a_delivered_order(world, card="card_refund_declined")
    await order.is_being_collected()
    before, plan = await plan_of(order), the_plan_of(order)
    back = await a_return(order)
    refund = back.is_held("RefundPayment")
    await back.starts()
    await refund.reached()
    await plan.is_to_be_paid()
    await collection_has_ended(plan)
    refund.open()
    await back.ends()
    assert (await plan_of(order)).outstanding == before.outstanding
    assert await status_of(plan) == RUNNING
    await plan.is_read()
    await plan.is_to_be_paid()
    assert (await plan.ends()).outstanding == eur(0)
    assert (await order.books()).credit.debts == {}


@pytest.mark.quick(1)
@pytest.mark.parametrize("how", ["cancelled by Temporal", "begun again"])
async def test_it_is_collected_however_the_return_is_taken_back(world: World, how: str) -> None:
    order = await a_delivered_order(world)
    await order.is_being_collected()
    before, plan = await plan_of(order), the_plan_of(order)
    back = await a_return(order)
    step = "RefundPayment" if how == "begun again" else "AdjustPlan"
    held = back.is_held(step)
    await back.starts()
    await held.reached()
    if how == "begun again":
        await back.is_terminated()
        await plan.is_to_be_paid()
        await collection_has_ended(plan)
        back.recovers(step)
        back.refuses(step)
        await back.is_started_again()
    else:
        await plan.handle.terminate("a test")
        await back.is_cancelled_by_temporal()
        held.open()
    await back.ends()
    assert (await plan_of(order)).outstanding == before.outstanding
    assert await status_of(plan) == RUNNING


@pytest.mark.thorough
@pytest.mark.parametrize("how", ["refused", "cancelled by the customer", "cancelled by Temporal"])
async def test_a_return_that_is_terminated_once_its_end_is_stored_has_seen_to_the_collection(
    world: World, how: str
) -> None:
    """Its saga has ended then, so that another attempt would find nothing left to do."""
    order = await a_delivered_order(world, card="card_refund_declined")
    await order.is_being_collected()
    before, plan = await plan_of(order), the_plan_of(order)
    back = await a_return(order)
    held = back.is_held("RefundPayment" if how == "refused" else "AdjustPlan")
    await back.starts()
    await held.reached()
    if how == "refused":
        await plan.is_to_be_paid()
        await collection_has_ended(plan)
    else:
        await plan.handle.terminate("a test")
    end = back.loses_its_task_at("journal:ended")
    if how == "cancelled by Temporal":
        await back.is_cancelled_by_temporal()
    if how == "cancelled by the customer":
        await back.is_cancelled_by_the_requester()
    held.open()
    await end.committed()
    await back.is_terminated()
    assert isinstance((await back.story())[-1], SagaEnded)
    assert (await plan_of(order)).outstanding == before.outstanding
    assert await status_of(plan) == RUNNING


@pytest.mark.thorough
async def test_who_goes_on_collecting_hears_that_the_plan_has_grown(world: World) -> None:
    order = await a_delivered_order(world)
    await order.is_being_collected()
    before, plan = await plan_of(order), the_plan_of(order)
    first = (await plan.handle.describe()).run_id
    back = await a_return(order, quantity=1)
    await stands_still(back)
    await plan.handle.signal(CollectInstalmentsWorkflow.look_again)

    async def knows(outstanding: Money) -> bool:
        progress = await plan.handle.query(CollectInstalmentsWorkflow.progress)
        return progress.plan is not None and progress.plan.outstanding == outstanding

    await eventually(lambda: knows(before.outstanding - eur(50_00)), "it knows of the return")
    await is_taken_back(back)
    await eventually(lambda: knows(before.outstanding), "it knows that it was taken back")
    now = await plan.handle.describe()
    assert now.status == RUNNING
    history = await plan.handle.fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    assert started.first_execution_run_id == first, "it is the same process"


@pytest.mark.thorough
async def test_what_comes_back_after_a_settlement_can_be_settled_too(world: World) -> None:
    """On the credit line each settlement has a name of its own, and gives its credit back."""
    order = await a_delivered_order(world)
    await order.is_being_collected()
    plan = the_plan_of(order)
    back = await a_return(order, quantity=1)
    await stands_still(back)
    await plan.is_to_be_paid()
    await collection_has_ended(plan)
    await is_taken_back(back)
    assert await told(world, stream_name("plan", order.id), AdjustmentReverted)
    await plan.is_read()
    await plan.is_to_be_paid()
    assert (await plan.ends()).status == "settled"
    assert await plan.charges() == [eur(25_00), eur(50_00)]
    assert (await order.books()).credit.debts == {}


async def test_who_collects_anew_knows_what_was_missed_and_which_attempts_there_were(
    world: World, temporal: WorkflowEnvironment
) -> None:
    soon = skipping_time(world, temporal)
    plan = await a_plan(soon, instalments=1, card="card_charge_declined_2")
    first = collection_of(plan, 1)
    first.input = replace(first.input, card="card_charge_declined_2")
    await first.starts()
    await first.ends()
    await plan.is_collected(progress=Progress(reopened=True))
    assert (await plan.ends()).status == "settled"
    assert len(await plan.told(InstalmentMissed)) == 2
    assert [one.reminder for one in await plan.told(LateFeeCharged)] == [2]
    assert await plan.charges() == [eur(15_00)]
