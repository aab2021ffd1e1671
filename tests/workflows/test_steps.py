"""Every step of the checkout, and every way it can end."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from handrail.sagas.events import SagaParked, StepDone, StepFailed, StepRefused, StepUnknown
from handrail.sagas.step_keys import Answer
from tests.workflows.ordered import Placement
from tests.workflows.steps import COMPENSATABLE, EVERY, LATER, OUR_OWN, PIVOT, at, side_by_side
from tests.world import World

pytestmark = pytest.mark.matrix

COMPLETED = WorkflowExecutionStatus.COMPLETED

REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    "ReserveStock": ("StockUnavailable", {"stock": 1}),
    "HoldCredit": ("CreditRefused", {"limit": 10_00}),
    "AuthoriseDownPayment": ("PaymentDeclined", {"card": "card_declined"}),
    PIVOT: ("CaptureDeclined", {"card": "card_capture_declined"}),
}


@pytest.mark.parametrize("steps", ["local", "queues"])
@side_by_side
async def test_a_checkout_that_nothing_disturbs_completes(world: World, steps: Placement) -> None:
    order = await world.an_order(steps)
    await order.starts()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"


@at(REFUSALS)
async def test_a_refusal_takes_back_what_was_done_before(
    world: World, steps: Placement, step: str
) -> None:
    refusal, circumstances = REFUSALS[step]
    order = await world.an_order(steps, **circumstances)
    await order.starts()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    [refused] = books.told(StepRefused)
    assert (refused.step, refused.outcome) == (step, refusal)
    assert (books.ended.ending, books.ended.because) == ("refused", refusal)
    assert step not in books.undone


@at(OUR_OWN)
async def test_a_broken_rule_takes_back_the_others_because_the_step_did_nothing(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps)
    order.breaks_a_rule(step)
    await order.starts()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    [failed] = books.told(StepFailed)
    assert failed.step == step
    assert (books.ended.ending, books.ended.because) == ("compensated", "failed")
    assert step not in books.undone


@at(EVERY)
async def test_a_step_that_fails_once_is_tried_again(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps)
    fault = order.fails(step, tries=1)
    await order.starts()
    assert await order.ends() == COMPLETED
    assert fault.tries == 2
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"


@at(EVERY)
async def test_an_answer_lost_once_is_given_again(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps)
    fault = order.loses_the_answer(step, tries=1)
    await order.starts()
    assert await order.ends() == COMPLETED
    assert fault.tries == 2
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"
    assert len(books.told(StepDone, step)) == 1


@at(EVERY)
async def test_a_step_delivered_twice_happens_once(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps)
    order.is_delivered_twice(step)
    await order.starts()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"
    assert len(books.told(StepDone, step)) == 1


@at(COMPENSATABLE)
async def test_a_step_that_fails_until_its_deadline_is_taken_back_with_the_others(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps, deadline=2)
    order.fails(step)
    await order.starts()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert [unknown.step for unknown in books.told(StepUnknown)] == [step]
    assert (books.ended.ending, books.ended.because) == ("compensated", "unknown")
    assert step in books.undone
    assert not books.fence[step, "do"].answered


@at(COMPENSATABLE)
async def test_a_step_whose_answer_is_always_lost_is_taken_back_with_its_effect(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps, deadline=2)
    order.loses_the_answer(step)
    await order.starts()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert [unknown.step for unknown in books.told(StepUnknown)] == [step]
    assert (books.ended.ending, books.ended.because) == ("compensated", "unknown")
    assert step in books.undone
    assert books.fence[step, "do"].answered


@at(COMPENSATABLE)
async def test_an_effect_that_comes_after_its_undo_is_refused_at_the_fence(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps, deadline=2)
    held = order.is_held(step)
    await order.starts()
    assert await order.ends() == COMPLETED
    late = await held.landed()
    assert late
    assert all(getattr(one, "type", one) == "StepClosed" for one in late)
    books = await order.leaves_a_clean_slate()
    assert [unknown.step for unknown in books.told(StepUnknown)] == [step]
    assert books.told(StepDone, step) == []


@at(LATER)
async def test_a_later_step_that_fails_until_patience_is_over_waits_for_a_person(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps, patience=2)
    order.fails(step)
    await order.starts()
    await order.parks(step)
    order.recovers(step)
    await order.is_told("retry", step)
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"
    assert [parked.step for parked in books.told(SagaParked)] == [step]


@at(LATER)
async def test_a_later_step_whose_answer_is_always_lost_is_done_once_all_the_same(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps, patience=2)
    order.loses_the_answer(step)
    await order.starts()
    await order.parks(step)
    order.recovers(step)
    await order.is_told("retry", step)
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"
    assert len(books.told(StepDone, step)) == 1


@at(LATER)
async def test_a_later_step_that_lands_while_it_is_parked_is_done_once(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps, patience=2)
    held = order.is_held(step)
    await order.starts()
    await order.parks(step)
    assert all(isinstance(one, Answer) for one in await held.landed())
    await order.is_told("retry", step)
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"
    assert len(books.told(StepDone, step)) == 1
