"""Another company is asked once beside the saga, and only then on its task queue."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowExecutionStatus

from handrail.sagas.events import StepDone
from tests.workflows.ordered import Ordered
from tests.workflows.steps import side_by_side
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED
LONG = 9.0  # seconds: no answer of a company takes that long, however busy the machine is


async def queued(order: Ordered) -> list[str]:
    """The activities that were put on a task queue, as the history has them."""
    history = await order.handle.fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    return [one.activity_type.name for one in scheduled]


@side_by_side
async def test_companies_that_answer_at_once_need_no_task_queue(world: World) -> None:
    order = await world.an_order(first_try=LONG)
    await order.starts()
    assert await order.ends() == COMPLETED
    assert await queued(order) == []
    await order.leaves_a_clean_slate()


@pytest.mark.parametrize(
    ("card", "first_try"), [("card_late_1", 0.3), ("card_error", LONG), ("card_lost", LONG)]
)
@side_by_side
async def test_one_that_gives_no_answer_is_asked_on_its_queue_under_the_same_key(
    world: World, card: str, first_try: float
) -> None:
    order = await world.an_order(card=card, first_try=first_try)
    await order.starts()
    assert await order.ends() == COMPLETED
    assert "AuthoriseDownPayment" in await queued(order)
    books = await order.leaves_a_clean_slate()
    assert len(books.told(StepDone, "AuthoriseDownPayment")) == 1
    assert [one["key"] for one in books.bank] == [f"{order.id}/1/AuthoriseDownPayment/do"]


@side_by_side
async def test_a_no_is_believed_at_once(world: World) -> None:
    order = await world.an_order(card="card_declined", first_try=LONG)
    await order.starts()
    assert await order.ends() == COMPLETED
    assert await queued(order) == []
    assert (await order.leaves_a_clean_slate()).ended.because == "PaymentDeclined"


@side_by_side
async def test_what_would_be_answered_the_same_again_is_not_asked_again(world: World) -> None:
    order = await world.an_order(first_try=LONG)
    order.breaks_a_rule("AuthoriseDownPayment")
    await order.starts()
    assert await order.ends() == COMPLETED
    assert await queued(order) == []
    assert (await order.leaves_a_clean_slate()).ended.because == "failed"


@side_by_side
async def test_operators_see_which_company_is_waited_for_only_where_one_is(world: World) -> None:
    order = await world.an_order(first_try=LONG)
    held = order.is_held("AuthoriseDownPayment")
    await order.starts()
    await held.reached()
    assert (await order.shown()).step == ""
    held.open()
    assert await order.ends() == COMPLETED


@side_by_side
async def test_duties_side_by_side_park_and_go_on_one_by_one(world: World) -> None:
    order = await world.an_order(patience=2)
    steps = ("ConfirmOrder", "OpenPlan")
    for step in steps:
        order.fails(step)
    await order.starts()
    for step in steps:
        await order.parks(step)
        order.recovers(step)
    for step in steps:
        await order.is_told("retry", step)
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"
