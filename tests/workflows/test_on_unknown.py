"""Steps that would rather wait for a person than be taken back, where their outcome is unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from temporalio.client import WorkflowExecutionStatus

from handrail.sagas.definition import Parallel, Saga, Step
from handrail.sagas.events import SagaParked, SagaResumed, StepUnknown
from tests.workflows.ordered import Ordered
from tests.workflows.steps import all_others_have_ended
from tests.world import World
from workflows import checkout
from workflows.checkout import Checkout
from workflows.options import ShopOptions

COMPLETED = WorkflowExecutionStatus.COMPLETED
BOTH = {"ReserveStock", "HoldCredit"}


def a_patient_saga(order: Checkout, options: ShopOptions) -> Saga:
    """The checkout, but for steps side by side that are parked on an unknown outcome."""
    usual = SAGA(order, options)
    return replace(
        usual,
        compensatable=[
            one
            if isinstance(one, Step)
            else Parallel(*(replace(step, on_unknown="park") for step in one.steps))
            for one in usual.compensatable
        ],
    )


SAGA = checkout.saga


@pytest.fixture
async def parked(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ordered]:
    """An order, two steps of which wait side by side: one had its effect, and one did not."""
    await all_others_have_ended()
    monkeypatch.setitem(vars(checkout.SAGA), "saga", a_patient_saga)
    place = world.elsewhere()
    order = await place.an_order(deadline=1)
    order.loses_the_answer("ReserveStock")
    order.fails("HoldCredit")
    async with place.at_work():
        await order.starts()
        for step in BOTH:
            await order.parks(step)
            order.recovers(step)
        yield order


async def test_a_parked_step_goes_on_when_it_is_tried_again(parked: Ordered) -> None:
    for step in BOTH:
        await parked.is_told("retry", step)
    assert await parked.ends() == COMPLETED
    books = await parked.leaves_a_clean_slate()
    assert books.ended.ending == "completed"
    assert {unknown.step for unknown in books.told(StepUnknown)} == BOTH


async def test_one_intervention_takes_back_all_that_wait(parked: Ordered) -> None:
    await parked.is_told("compensate", "HoldCredit")
    assert await parked.ends() == COMPLETED
    books = await parked.leaves_a_clean_slate()
    assert (books.ended.ending, books.ended.because) == ("compensated", "intervention")
    assert {resumed.step for resumed in books.told(SagaResumed)} == BOTH
    assert set(books.undone) > BOTH


async def test_a_customer_may_still_cancel_what_waits_before_the_pivot(parked: Ordered) -> None:
    await parked.is_cancelled_by_the_requester()
    assert await parked.ends() == COMPLETED
    books = await parked.leaves_a_clean_slate()
    assert (books.ended.ending, books.ended.because) == ("compensated", "cancelled")
    assert {one.step for one in books.told(SagaParked)} == BOTH
    assert set(books.undone) > BOTH
