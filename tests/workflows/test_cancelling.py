"""Whoever cancels, and whenever: all is taken back, or nothing is, and it is said why."""

from __future__ import annotations

from itertools import chain, takewhile

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from handrail.sagas.events import CancelRequested, StepDone
from tests.workflows.ordered import Ordered, Placement
from tests.workflows.steps import COMPENSATABLE, GROUPS, LATER, PIVOT, at
from tests.world import World

pytestmark = pytest.mark.matrix

COMPLETED = WorkflowExecutionStatus.COMPLETED
CANCELED = WorkflowExecutionStatus.CANCELED


async def is_too_late_to_cancel(order: Ordered) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.is_cancelled_by_the_requester()
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "TooLate"
    return cause.message


def group_of(step: str) -> list[str]:
    [group] = [group for group in GROUPS if step in group]
    return group


@at(COMPENSATABLE)
async def test_a_customer_who_cancels_while_a_step_runs_gets_everything_back(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps)
    held = order.is_held(step)
    await order.starts()
    await held.reached()
    await order.is_cancelled_by_the_requester()
    held.open()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    [asked] = books.told(CancelRequested)
    assert (asked.actor, asked.reason) == ("requester", "changed my mind")
    assert (books.ended.ending, books.ended.because) == ("compensated", "cancelled")
    begun = [*takewhile(lambda group: step not in group, GROUPS), group_of(step)]
    assert sorted(books.undone) == sorted(chain.from_iterable(begun)), "a later step was begun"


@at(LATER)
async def test_from_the_pivot_on_a_customer_hears_why_it_is_too_late(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps)
    held = order.is_held(step)
    await order.starts()
    await held.reached()
    assert "CapturePayment was asked already" in await is_too_late_to_cancel(order)
    held.open()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"
    assert books.told(CancelRequested) == []


@at(COMPENSATABLE)
async def test_temporal_cancelling_while_a_step_runs_takes_everything_back(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps)
    held = order.is_held(step)
    await order.starts()
    await held.reached()
    await order.is_cancelled_by_temporal(times=2)
    held.open()
    assert await order.ends() == CANCELED
    books = await order.leaves_a_clean_slate()
    [asked] = books.told(CancelRequested)
    assert asked.actor == "temporal"
    assert (books.ended.ending, books.ended.because) == ("compensated", "cancelled")
    assert books.told(StepDone, step)
    assert not books.fence[PIVOT, "do"].answered


@at(LATER)
async def test_temporal_cancelling_after_the_pivot_was_asked_changes_nothing(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps)
    held = order.is_held(step)
    await order.starts()
    await held.reached()
    await order.is_cancelled_by_temporal(times=2)
    held.open()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"


@at(COMPENSATABLE)
async def test_temporal_cancelling_while_a_refusal_is_taken_back_does_not_stop_that(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps, card="card_capture_declined")
    held = order.is_held(step, "undo")
    await order.starts()
    await held.reached()
    await order.is_cancelled_by_temporal(times=2)
    held.open()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert (books.ended.ending, books.ended.because) == ("refused", "CaptureDeclined")
    assert sorted(books.undone) == sorted(COMPENSATABLE)


@at(COMPENSATABLE)
async def test_temporal_cancelling_while_a_cancellation_is_taken_back_does_not_stop_that(
    world: World, steps: Placement, step: str
) -> None:
    order = await world.an_order(steps)
    authorising = order.is_held("AuthoriseDownPayment")
    undoing = order.is_held(step, "undo")
    await order.starts()
    await authorising.reached()
    await order.is_cancelled_by_the_requester()
    authorising.open()
    await undoing.reached()
    assert await is_too_late_to_cancel(order) == "it is being taken back already"
    await order.is_cancelled_by_temporal(times=2)
    undoing.open()
    assert await order.ends() == CANCELED
    books = await order.leaves_a_clean_slate()
    assert (books.ended.ending, books.ended.because) == ("compensated", "cancelled")
    assert sorted(books.undone) == sorted(COMPENSATABLE)
