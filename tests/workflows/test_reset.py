"""Temporal's reset runs a saga again from the past; the fence remembers what came after it."""

from __future__ import annotations

from temporalio.client import WorkflowExecutionStatus

from handrail.testing.updates import is_reset
from tests.workflows.steps import side_by_side
from tests.world import World


@side_by_side
async def test_an_order_that_was_taken_back_charges_nothing_when_it_is_reset(world: World) -> None:
    order = await world.an_order("queues")
    held = order.is_held("HoldCredit")
    await order.starts()
    await held.reached()
    await order.is_cancelled_by_temporal()
    held.open()
    assert await order.ends() == WorkflowExecutionStatus.CANCELED
    await order.leaves_a_clean_slate()
    await is_reset(order)
    assert await order.ends() == WorkflowExecutionStatus.FAILED
    await order.leaves_a_clean_slate()


@side_by_side
async def test_a_completed_order_that_is_reset_repeats_nothing(world: World) -> None:
    order = await world.an_order()
    await order.starts()
    assert await order.ends() == WorkflowExecutionStatus.COMPLETED
    before = await order.leaves_a_clean_slate()
    await is_reset(order)
    assert await order.ends() == WorkflowExecutionStatus.COMPLETED
    assert await order.leaves_a_clean_slate() == before
