"""The customer's answer: early, the same whoever asks again, and one saga behind it."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus

from handrail.sagas.events import SagaDecided
from tests.workflows.ordered import Placement
from tests.workflows.steps import side_by_side
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED


@side_by_side
async def test_the_answer_comes_while_the_shipment_is_still_being_booked(world: World) -> None:
    order = await world.an_order()
    held = order.is_held("BookShipment")
    decision = await order.asks_for_the_decision()
    assert decision.approved
    await held.reached()
    assert (await order.books()).shipment.status == "none"
    held.open()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    [decided] = books.told(SagaDecided)
    assert decided.approved


@side_by_side
async def test_a_refusal_is_answered_with_its_reason_before_everything_is_given_back(
    world: World,
) -> None:
    order = await world.an_order("queues", card="card_declined")
    held = order.is_held("PlaceOrder", "undo")
    decision = await order.asks_for_the_decision()
    assert (decision.approved, decision.because) == (False, "PaymentDeclined")
    assert decision.reason
    await held.reached()
    held.open()
    assert await order.ends() == COMPLETED
    await order.leaves_a_clean_slate()


@side_by_side
async def test_whoever_asks_again_gets_the_same_answer_from_the_same_saga(world: World) -> None:
    order = await world.an_order()
    held = order.is_held("BookShipment")
    first, *others = await asyncio.gather(
        *(order.asks_for_the_decision(request) for request in ("one", "one", "two"))
    )
    assert first.approved
    assert others == [first, first]
    held.open()
    assert await order.ends() == COMPLETED
    assert await order.asks_for_the_decision("one") == first
    await order.leaves_a_clean_slate()


@side_by_side
async def test_a_completed_order_that_is_started_again_repeats_nothing(world: World) -> None:
    order = await world.an_order()
    await order.starts()
    assert await order.ends() == COMPLETED
    before = await order.leaves_a_clean_slate()
    await order.starts()
    assert await order.ends() == WorkflowExecutionStatus.FAILED
    assert await order.leaves_a_clean_slate() == before


@side_by_side
async def test_an_order_that_was_refused_and_is_started_again_repeats_nothing(
    world: World,
) -> None:
    order = await world.an_order(card="card_capture_declined")
    await order.starts()
    assert await order.ends() == COMPLETED
    before = await order.leaves_a_clean_slate()
    await order.starts()
    await order.ends()
    assert await order.leaves_a_clean_slate() == before


@pytest.mark.parametrize("steps", ["local", "queues"])
@side_by_side
async def test_an_order_that_was_taken_back_fails_when_it_is_started_again(
    world: World, steps: Placement
) -> None:
    order = await world.an_order(steps, deadline=1)
    order.fails("HoldCredit")
    await order.starts()
    assert await order.ends() == COMPLETED
    before = await order.leaves_a_clean_slate()
    order.recovers("HoldCredit")
    await order.starts()
    assert await order.ends() == WorkflowExecutionStatus.FAILED
    assert await order.leaves_a_clean_slate() == before


@side_by_side
async def test_an_order_that_the_customer_cancelled_charges_nothing_when_it_is_started_again(
    world: World,
) -> None:
    order = await world.an_order("queues")
    held = order.is_held("HoldCredit")
    await order.starts()
    await held.reached()
    await order.is_cancelled_by_the_requester()
    held.open()
    assert await order.ends() == COMPLETED
    before = await order.leaves_a_clean_slate()
    await order.starts()
    assert await order.ends() == WorkflowExecutionStatus.FAILED
    assert await order.leaves_a_clean_slate() == before
