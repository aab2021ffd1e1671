"""Workers that go away: another one takes over, and nothing is skipped and nothing done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus

from handrail.sagas.execution import SagaExecution
from handrail.testing.faults import Gate
from tests.workflows.ordered import Ordered, Placement, eventually
from tests.workflows.steps import COMPENSATABLE, EVERY, all_others_have_ended, side_by_side
from tests.world import World

WITH_REPLAY = timedelta(seconds=10)  # of a workflow task that begins with all before it
COMPLETED = WorkflowExecutionStatus.COMPLETED
CANCELED = WorkflowExecutionStatus.CANCELED
pytestmark = pytest.mark.matrix
in_both_placements = pytest.mark.parametrize("steps", ["local", "queues"])


async def all_start_and_reach(held: Mapping[Ordered, Gate]) -> None:
    await asyncio.gather(*(order.starts() for order in held))
    await asyncio.gather(*(gate.reached() for gate in held.values()))


@in_both_placements
@side_by_side
async def test_another_worker_takes_over_in_the_middle_of_every_step(
    world: World, steps: Placement
) -> None:
    place = world.elsewhere()
    orders = [await place.an_order(steps, deadline=120) for _ in EVERY]
    held = {order: order.is_held(step) for order, step in zip(orders, EVERY, strict=True)}
    async with place.at_work():
        await all_start_and_reach(held)
    async with place.at_work():
        for gate in held.values():
            gate.open()
        assert await asyncio.gather(*(order.ends() for order in orders)) == [COMPLETED] * len(EVERY)
    for order in orders:
        books = await order.leaves_a_clean_slate()
        assert books.ended.ending == "completed"


@in_both_placements
@side_by_side
async def test_another_worker_takes_over_in_the_middle_of_every_compensation(
    world: World, steps: Placement
) -> None:
    place = world.elsewhere()
    orders = [await place.an_order(steps, card="card_capture_declined") for _ in COMPENSATABLE]
    held = {
        order: order.is_held(step, "undo")
        for order, step in zip(orders, COMPENSATABLE, strict=True)
    }
    async with place.at_work():
        await all_start_and_reach(held)
        for order in orders:
            await order.is_cancelled_by_temporal()
    async with place.at_work():
        for gate in held.values():
            gate.open()
        await asyncio.gather(*(order.ends() for order in orders))
    for order in orders:
        books = await order.leaves_a_clean_slate()
        assert books.ended.ending == "refused"
        assert sorted(books.undone) == sorted(COMPENSATABLE)


@in_both_placements
@side_by_side
async def test_a_saga_that_is_forgotten_after_every_task_ends_as_any_other(
    world: World, steps: Placement
) -> None:
    """The worker evicts a workflow after every task, and replays it for the next one.

    A worker each: one that keeps no workflow has room for one at a time, and the tasks of others
    run out of time in it. Each task replays all that was before, which on a busy machine takes
    longer than the steps: none is to run out of time for that.
    """
    _, _, cancelled, parked = orders = [
        await world.elsewhere().an_order(steps, card=card, patience=patience, deadline=120)
        for card, patience in (
            ("card_ok", 300),
            ("card_capture_declined", 300),
            ("card_ok", 300),
            ("card_ok", 2),
        )
    ]
    for order in orders:
        order.task_timeout = WITH_REPLAY
    authorising = cancelled.is_held("AuthoriseDownPayment")
    undoing = cancelled.is_held("AuthoriseDownPayment", "undo")
    parked.fails("ConfirmOrder")
    async with AsyncExitStack() as stack:
        for order in orders:
            await stack.enter_async_context(order.world.at_work(max_cached_workflows=0))
        await asyncio.gather(*(order.starts() for order in orders))
        await authorising.reached()
        await cancelled.is_cancelled_by_the_requester()
        authorising.open()
        await undoing.reached()
        await cancelled.is_cancelled_by_temporal(times=2)
        undoing.open()
        await parked.parks("ConfirmOrder")
        parked.recovers("ConfirmOrder")
        await parked.is_told("retry")
        ends = await asyncio.gather(*(order.ends() for order in orders))
    assert ends == [COMPLETED, COMPLETED, CANCELED, COMPLETED]
    endings = [(await order.leaves_a_clean_slate()).ended.ending for order in orders]
    assert endings == ["completed", "refused", "compensated", "completed"]


async def test_a_mistake_in_the_code_stays_visible_and_is_over_once_it_is_mended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await all_others_have_ended()
    place = world.elsewhere()
    order = await place.an_order(card="card_capture_declined")

    async def mistaken(*_: object) -> None:
        raise KeyError("a mistake")

    async def has_failed_tasks() -> bool:
        history = await order.handle.fetch_history()
        failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        return any(event.event_type == failed for event in history.events)

    with monkeypatch.context() as patched:
        patched.setattr(SagaExecution, "_compensate", mistaken)
        async with place.at_work():
            await order.starts()
            await eventually(has_failed_tasks, "a failed workflow task")
    description = await order.handle.describe()
    assert description.status == WorkflowExecutionStatus.RUNNING
    async with place.at_work():
        assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "refused"
