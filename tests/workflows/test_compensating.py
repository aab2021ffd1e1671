"""Every compensation of the checkout, and everything that can get in its way."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError

from handrail.sagas.events import (
    CancelRequested,
    SagaParked,
    SagaResumed,
    StepCompensated,
    StepUnknown,
)
from handrail.sagas.step_keys import Answer
from tests.workflows.ordered import Ordered, Placement
from tests.workflows.steps import COMPENSATABLE, at, side_by_side
from tests.world import World

pytestmark = pytest.mark.matrix

COMPLETED = WorkflowExecutionStatus.COMPLETED


async def an_order_that_turns_back(
    world: World, steps: Placement, *, patience: float = 300
) -> Ordered:
    """At its pivot: every step was done, and every one is taken back."""
    return await world.an_order(steps, card="card_capture_declined", patience=patience)


async def is_all_taken_back(order: Ordered) -> None:
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert (books.ended.ending, books.ended.because) == ("refused", "CaptureDeclined")
    assert sorted(books.undone) == sorted(COMPENSATABLE)


@at(COMPENSATABLE)
async def test_a_compensation_that_fails_once_is_tried_again(
    world: World, steps: Placement, step: str
) -> None:
    order = await an_order_that_turns_back(world, steps)
    fault = order.fails(step, "undo", tries=1)
    await order.starts()
    await is_all_taken_back(order)
    assert fault.tries == 2


@at(COMPENSATABLE)
async def test_a_compensation_whose_answer_was_lost_is_done_once(
    world: World, steps: Placement, step: str
) -> None:
    order = await an_order_that_turns_back(world, steps)
    fault = order.loses_the_answer(step, "undo", tries=1)
    await order.starts()
    await is_all_taken_back(order)
    assert fault.tries == 2


@at(COMPENSATABLE)
async def test_a_compensation_delivered_twice_happens_once(
    world: World, steps: Placement, step: str
) -> None:
    order = await an_order_that_turns_back(world, steps)
    order.is_delivered_twice(step, "undo")
    await order.starts()
    await is_all_taken_back(order)


@at(COMPENSATABLE)
async def test_a_compensation_that_never_works_waits_for_a_person(
    world: World, steps: Placement, step: str
) -> None:
    order = await an_order_that_turns_back(world, steps, patience=2)
    order.fails(step, "undo")
    await order.starts()
    await order.parks(step)
    books = await order.books()
    assert books.told(StepCompensated, step) == []
    order.recovers(step, "undo")
    await order.is_told("retry", step)
    await is_all_taken_back(order)
    books = await order.books()
    [parked], [resumed] = books.told(SagaParked), books.told(SagaResumed)
    assert (parked.step, parked.direction) == (resumed.step, resumed.direction) == (step, "undo")


@at(COMPENSATABLE)
async def test_a_compensation_that_lands_while_it_is_parked_is_done_once(
    world: World, steps: Placement, step: str
) -> None:
    order = await an_order_that_turns_back(world, steps, patience=2)
    held = order.is_held(step, "undo")
    await order.starts()
    await order.parks(step)
    assert all(isinstance(one, Answer) for one in await held.landed())
    await order.is_told("retry", step)
    await is_all_taken_back(order)


@side_by_side
async def test_two_compensations_may_wait_side_by_side_and_each_is_told_by_its_name(
    world: World,
) -> None:
    order = await an_order_that_turns_back(world, "local", patience=2)
    for step in ("ReserveStock", "HoldCredit"):
        order.fails(step, "undo")
    await order.starts()
    for step in ("ReserveStock", "HoldCredit"):
        await order.parks(step)
        order.recovers(step, "undo")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.is_told("retry")
    assert "parked now: ReserveStock, HoldCredit" in str(refused.value.cause)
    await order.is_told("retry", "ReserveStock")
    shown = await order.shown()
    assert (shown.status, shown.step) == ("parked", "HoldCredit")
    await order.is_told("retry", "HoldCredit")
    await is_all_taken_back(order)


@pytest.mark.parametrize(
    ("unknown", "refusal", "circumstances"),
    [
        ("ReserveStock", "CreditRefused", {"limit": 10_00}),
        ("HoldCredit", "StockUnavailable", {"stock": 1}),
    ],
)
@side_by_side
async def test_side_by_side_an_unknown_step_is_taken_back_where_the_other_was_refused(
    world: World, unknown: str, refusal: str, circumstances: dict[str, Any]
) -> None:
    order = await world.an_order("local", deadline=2, **circumstances)
    order.loses_the_answer(unknown)
    await order.starts()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert [one.step for one in books.told(StepUnknown)] == [unknown]
    assert (books.ended.ending, books.ended.because) == ("refused", refusal)


@side_by_side
async def test_a_cancellation_is_kept_in_the_story_where_a_refusal_came_first(
    world: World,
) -> None:
    order = await world.an_order("local", card="card_declined")
    held = order.is_held("AuthoriseDownPayment")
    await order.starts()
    await held.reached()
    await order.is_cancelled_by_the_requester()
    held.open()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.because == "PaymentDeclined"
    assert [asked.actor for asked in books.told(CancelRequested)] == ["requester"]
