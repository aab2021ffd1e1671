"""What waits for a person shows itself, and goes on by an intervention that is remembered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from handrail.sagas.events import SagaEnded, SagaResumed, StepRefused
from handrail.sagas.visibility import tenant_key
from tests.workflows.ordered import Ordered, eventually
from tests.workflows.steps import side_by_side
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED


async def a_parked_order(world: World, step: str) -> Ordered:
    order = await world.an_order(patience=6)
    order.fails(step)
    await order.starts()
    await order.parks(step)
    order.recovers(step)
    return order


async def is_refused(order: Ordered, kind: str, step: str = "") -> tuple[str | None, str]:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.is_told("compensate" if kind == "compensate" else "retry", step)
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    return cause.type, cause.message


@side_by_side
async def test_a_shipment_refused_after_the_pivot_is_asked_for_again_under_a_new_key(
    world: World,
) -> None:
    order = await world.an_order(ship_to="addr_undeliverable")
    await order.starts()
    await order.parks("BookShipment")
    await order.is_told("retry")
    await order.parks("BookShipment", times=2)
    order.is_asked_for_instead("BookShipment", lambda asked: replace(asked, ship_to="addr_ok"))
    await order.is_told("retry")
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.ended.ending == "completed"
    refused = books.told(StepRefused, "BookShipment")
    assert [one.outcome for one in refused] == ["ShipmentDeclined"] * 2
    asked = {step for step, direction in books.fence if step.startswith("BookShipment")}
    assert asked == {"BookShipment", "BookShipment~2", "BookShipment~3"}


@side_by_side
async def test_what_is_parked_can_be_found_and_no_longer_once_it_goes_on(world: World) -> None:
    order = await a_parked_order(world, "ConfirmOrder")

    async def is_shown() -> bool:
        return (await order.shown()).status == "parked"

    await eventually(is_shown, "what is parked is shown so")
    shown = await order.shown()
    assert shown.step == "ConfirmOrder"
    assert shown.failure == "Trouble"
    assert shown.parked_since is not None
    assert shown.saga_type == "Checkout"
    attributes = (await order.handle.describe()).typed_search_attributes
    assert attributes.get(tenant_key("merchant")) == order.input.merchant
    await order.is_told("retry")
    assert await order.ends() == COMPLETED
    shown = await order.shown()
    assert (shown.status, shown.step, shown.failure) == ("completed", "", "")
    assert shown.parked_since is None


@side_by_side
async def test_the_timeline_tells_an_operator_what_happened_so_far(world: World) -> None:
    order = await a_parked_order(world, "ConfirmOrder")
    timeline = await order.timeline()
    assert timeline.startswith("**parked**")
    for row in ("| PlaceOrder | OrderPlaced |", "| ConfirmOrder | Trouble: failed before"):
        assert row in timeline
    await order.is_told("retry")
    await order.ends()


@side_by_side
async def test_an_intervention_is_refused_where_nothing_is_parked(world: World) -> None:
    order = await world.an_order()
    held = order.is_held("PlaceOrder")
    await order.starts()
    await held.reached()
    kind, message = await is_refused(order, "retry")
    assert (kind, message) == ("NotParked", "name the one step that is parked; parked now: none")
    held.open()
    assert await order.ends() == COMPLETED
    assert (await order.leaves_a_clean_slate()).told(SagaResumed) == []


@side_by_side
async def test_an_intervention_is_refused_for_a_step_that_is_not_the_parked_one(
    world: World,
) -> None:
    order = await a_parked_order(world, "ConfirmOrder")
    kind, message = await is_refused(order, "retry", "BookShipment")
    assert kind == "NotParked"
    assert "parked now: ConfirmOrder" in message
    await order.is_told("retry")
    assert await order.ends() == COMPLETED


@side_by_side
async def test_after_the_pivot_nothing_can_be_taken_back(world: World) -> None:
    order = await a_parked_order(world, "ConsumeCredit")
    kind, message = await is_refused(order, "compensate")
    assert kind == "TooLate"
    assert "the pivot was done" in message
    await order.is_told("retry")
    assert await order.ends() == COMPLETED
    assert (await order.leaves_a_clean_slate()).ended.ending == "completed"


@side_by_side
async def test_a_compensation_cannot_be_compensated(world: World) -> None:
    order = await world.an_order(card="card_capture_declined", patience=2)
    order.fails("PlaceOrder", "undo")
    await order.starts()
    await order.parks("PlaceOrder")
    order.recovers("PlaceOrder", "undo")
    kind, message = await is_refused(order, "compensate")
    assert (kind, message) == ("TooLate", "it is being taken back already")
    await order.is_told("retry")
    assert await order.ends() == COMPLETED
    await order.leaves_a_clean_slate()


@side_by_side
async def test_the_same_intervention_told_twice_is_one_and_is_kept_with_who_and_why(
    world: World,
) -> None:
    order = await a_parked_order(world, "ConfirmOrder")
    held = order.is_held("BookShipment")
    for _ in range(2):
        await order.is_told("retry", "ConfirmOrder", intervention="ticket-7")
    await held.reached()
    await order.is_told("retry", "ConfirmOrder", intervention="ticket-7")
    held.open()
    assert await order.ends() == COMPLETED
    books = await order.leaves_a_clean_slate()
    assert books.told(SagaResumed) == [
        SagaResumed(
            saga=order.id,
            attempt=1,
            step="ConfirmOrder",
            direction="do",
            intervention="ticket-7",
            kind="retry",
            actor="operator",
            reason="looked into it",
        )
    ]
    assert len(books.told(SagaEnded)) == 1


@side_by_side
async def test_an_undo_that_was_resolved_by_hand_lands_nowhere_later(world: World) -> None:
    order = await world.an_order("queues", patience=1)
    order.refuses("CapturePayment")
    held = order.is_held("ReserveStock", "undo")
    await order.starts()
    await order.parks("ReserveStock")
    await order.is_told("resolve", "ReserveStock")
    assert await order.ends() == COMPLETED
    late = await held.landed()
    assert late
    assert all(getattr(one, "type", one) == "StepClosed" for one in late), late


@side_by_side
async def test_what_a_company_may_have_forgotten_is_not_asked_for_again(world: World) -> None:
    """It would do it once more: an operator looks it up, and says what is true."""
    order = await world.an_order(patience=1)
    order.options = replace(order.options, keys_kept_seconds=0.5)
    order.loses_the_answer("CapturePayment")
    await order.starts()
    await order.parks("CapturePayment")
    for kind in ("retry", "compensate"):
        refused = await is_refused(order, kind, "CapturePayment")
        assert refused[0] == "NotPossible"
        assert "may have forgotten the key" in refused[1]
    await order.is_told("resolve", "CapturePayment")
    assert await order.ends() == COMPLETED
    books = await order.books()
    assert (books.ended.ending, books.bank_states) == ("completed", ["captured"])
