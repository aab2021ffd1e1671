"""An attempt takes over everything that all attempts since the last end did, or may have done."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.payments.gateway import HttpBank
from domain.identifiers import OrderId, ReturnId
from domain.settlement.commands import ClawBack
from domain.shipping.commands import BookShipment
from handrail.http.last_run import last_run
from handrail.sagas.events import SagaEnded, SagaParked
from handrail.testing.faults import A_LONG_TIME
from handrail.testing.running_saga import Running, eventually
from handrail.testing.trial import Trial, a_trial
from tests.controls import eur, readable_id
from tests.unencrypted import company
from tests.workflows.asked import does
from tests.workflows.harness.cases import CASES
from tests.workflows.ledgers import states
from tests.workflows.steps import PIVOT, side_by_side
from tests.workflows.test_onboard_merchant import an_application
from tests.world import World, world_of
from workflows import plan_collection

COMPLETED = WorkflowExecutionStatus.COMPLETED


async def ends_of(saga: Running) -> list[SagaEnded]:
    return [one for one in await saga.story() if isinstance(one, SagaEnded)]


async def is_declined(asked: Running, *, times: int = 1) -> None:
    """By the officer, once the workflow waits for it."""
    await asked.tells("AnswerAwaited", "RequestApproval", times=times)

    async def waits() -> bool:
        return (await asked.shown()).status == "awaiting"

    await eventually(waits, f"{asked.id} waits for an answer")
    await asked.is_answered(approved=False)


# Three attempts.


@pytest.mark.thorough
@side_by_side
async def test_what_the_first_attempt_holds_is_let_go_of_by_the_third(world: World) -> None:
    """The second is terminated while it clears up."""
    order = await world.an_order()
    pivot = order.is_held(PIVOT)
    await order.starts()
    await pivot.reached()
    await order.is_terminated()
    order.recovers(PIVOT)
    voiding = order.is_held("AuthoriseDownPayment", "undo")
    await order.is_started_again()
    await voiding.reached()
    await order.is_terminated()
    order.recovers("AuthoriseDownPayment", "undo")
    await order.is_started_again()
    await order.ends()
    assert sorted((await order.books()).bank_states) == ["captured", "voided"]


@side_by_side
async def test_who_cancels_while_an_attempt_clears_up_gets_nothing_placed(world: World) -> None:
    order = await world.an_order("queues")
    pivot = order.is_held(PIVOT)
    await order.starts()
    await pivot.reached()
    await order.is_terminated()
    order.recovers(PIVOT)
    voiding = order.is_held("AuthoriseDownPayment", "undo")
    await order.is_started_again()
    await voiding.reached()
    await order.is_cancelled_by_the_requester()
    voiding.open()
    assert await order.ends() == COMPLETED
    [ended] = await ends_of(order)
    assert (ended.ending, ended.because) == ("compensated", "cancelled")
    assert (await order.books()).bank_states == ["voided"]


@side_by_side
async def test_who_was_told_that_it_is_cancelled_gets_nothing_placed_by_the_next_attempt(
    world: World,
) -> None:
    """It is terminated before it turned back."""
    order = await world.an_order("queues")
    authorising = order.is_held("AuthoriseDownPayment")
    await order.starts()
    await authorising.reached()
    await order.is_cancelled_by_the_requester()
    await order.is_terminated()
    order.recovers("AuthoriseDownPayment")
    await order.is_started_again()
    assert await order.ends() == COMPLETED
    [ended] = await ends_of(order)
    assert (ended.ending, ended.because) == ("compensated", "cancelled")
    assert set((await order.books()).bank_states) <= {"voided"}


@side_by_side
async def test_what_the_first_attempt_took_is_taken_once(world: World) -> None:
    """The second is terminated before it says that the pivot was done."""
    order = await world.an_order()
    confirm = order.is_held("ConfirmOrder")
    await order.starts()
    await confirm.reached()
    await order.is_terminated()
    order.recovers("ConfirmOrder")
    told = order.is_held("journal:decided")
    await order.is_started_again()
    await told.reached()
    await order.is_terminated()
    order.recovers("journal:decided")
    await order.is_started_again()
    await order.ends()
    assert (await order.books()).bank_states.count("captured") == 1


# What a person decided.


@side_by_side
async def test_a_pivot_that_an_operator_takes_back_is_not_gone_on_with(world: World) -> None:
    order = await world.an_order(patience=2)
    order.loses_the_answer(PIVOT)
    await order.starts()
    await order.parks(PIVOT)
    held = [order.is_held(step, "undo") for step in ("ReserveStock", "HoldCredit")]
    order.recovers(PIVOT)
    await order.is_told("compensate", PIVOT)
    for one in held:
        await one.reached()
    await order.is_terminated()
    for step in ("ReserveStock", "HoldCredit"):
        order.recovers(step, "undo")
    await order.is_started_again()
    await order.ends()
    assert (await order.books()).ended.ending == "compensated"


@side_by_side
async def test_what_certainly_did_not_happen_is_not_gone_on_with(world: World) -> None:
    order = await world.an_order(patience=2)
    order.fails(PIVOT)
    await order.starts()
    await order.parks(PIVOT)
    order.recovers(PIVOT)
    turning = order.is_held("journal:turned-back")
    await order.is_told("resolve", PIVOT, happened=False)
    await turning.reached()
    await order.is_terminated()
    order.recovers("journal:turned-back")
    await order.is_started_again()
    await order.ends()
    books = await order.books()
    assert books.ended.ending != "completed" or "captured" in books.bank_states


@side_by_side
async def test_who_was_declined_ends_as_refused_in_the_next_attempt_too(world: World) -> None:
    asked = an_application(world)
    held = asked.is_held("OpenMerchantAccount", "undo")
    await asked.starts()
    await is_declined(asked)
    await held.reached()
    await asked.is_terminated()
    asked.recovers("OpenMerchantAccount", "undo")
    await asked.is_started_again()
    await asked.ends()
    ended = (await ends_of(asked))[-1]
    assert (ended.ending, ended.because) == ("refused", "Declined")


# After the end.


@side_by_side
async def test_what_follows_a_checkout_is_begun_whenever_its_workflow_is_terminated(
    world: World,
) -> None:
    """Its end is told, and what follows has not begun."""
    order = await world.an_order("queues")
    order.loses_the_answer("BookShipment")
    await order.starts()

    async def is_told() -> bool:
        return bool(await ends_of(order))

    await eventually(is_told, "the end is told")
    await order.is_terminated()
    order.recovers("BookShipment")
    await order.is_started_again()
    assert await order.ends() == COMPLETED
    plan = world.client.get_workflow_handle(plan_collection.workflow_id(order.id))
    try:
        await plan.describe()
    except RPCError as error:
        pytest.fail(f"nobody collects the instalments of {order.id}: {error.message}")


@pytest.mark.parametrize(
    "is_forgotten",
    [
        pytest.param(False, id="as Temporal still knows it"),
        # The server deletes half a minute later.
        pytest.param(True, id="once Temporal has forgotten it", marks=pytest.mark.matrix),
    ],
)
@side_by_side
async def test_who_was_refused_may_apply_again_as_attempt_1(
    world: World, *, is_forgotten: bool
) -> None:
    """Who begins it knows of no attempt before."""
    asked = an_application(world)
    await asked.starts()
    await is_declined(asked)
    await asked.ends()
    if is_forgotten:
        await _forgets(world, asked.id)
    await asked.starts()
    await is_declined(asked, times=2)
    assert await asked.ends() == COMPLETED
    assert [one.attempt for one in await ends_of(asked)] == [1, 2]


async def _forgets(world: World, saga: str) -> None:
    """What Temporal does once the retention is over."""
    await world.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=world.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=saga),
        )
    )

    async def is_forgotten() -> bool:
        return await last_run(world.client, saga) is None

    await eventually(is_forgotten, f"Temporal has forgotten {saga}", within=3 * A_LONG_TIME)


# What another company did for an attempt that stopped.


@side_by_side
async def test_a_payout_that_left_for_an_attempt_that_stopped_is_known_to_our_books(
    world: World,
) -> None:
    """The bank has it, our books do not; and meanwhile less is owed to the merchant."""
    trial = await a_trial(world, CASES["PayMerchant"], "local", {})
    pivot = trial.is_held("TransferPayout")
    await trial.starts()
    await pivot.reached()
    await _the_bank_pays(trial)
    await trial.is_terminated()
    trial.recovers("TransferPayout")
    order = next(name for name, what in trial.subject.names.items() if what == "ORDER")
    await does(
        world,
        ClawBack(
            merchant=trial.input.merchant,
            order=OrderId(order),
            return_id=ReturnId(readable_id("return")),
            gross=eur(10_00),
        ),
    )
    await trial.is_started_again()
    await trial.ends()
    paid = (await states(world.bank, "payouts", trial.input.payout)).count("paid")
    assert (await ends_of(trial))[-1].ending == "completed" or not paid


async def _the_bank_pays(trial: Trial) -> None:
    """As the step of attempt 1 asks it to."""
    asked = trial.input
    world = world_of(trial)
    bank = HttpBank(company(world.session, world.bank))
    await bank.pay_out(
        key=f"{trial.id}/1/TransferPayout/do",
        payout=asked.payout,
        merchant=asked.merchant,
        amount=asked.amount,
    )


@side_by_side
async def test_what_a_person_corrected_is_not_asked_by_the_next_attempt_as_it_was(
    world: World,
) -> None:
    order = await world.an_order(ship_to="addr_undeliverable")
    await order.starts()
    await order.parks("BookShipment")
    booking = order.is_held("BookShipment")
    told = asyncio.create_task(
        order.is_told("correct", "BookShipment", correction=await is_to_go_to(order, "addr_ok"))
    )
    await booking.reached()
    await told
    await order.is_terminated()
    order.recovers("BookShipment")
    await order.is_started_again()
    assert await order.ends() == COMPLETED
    parked = [one.attempt for one in await order.story() if isinstance(one, SagaParked)]
    assert parked == [1]


async def is_to_go_to(order: Running, address: str) -> BookShipment:
    asked = await order.parked_command("BookShipment")
    assert isinstance(asked, BookShipment)
    return replace(asked, ship_to=address)
