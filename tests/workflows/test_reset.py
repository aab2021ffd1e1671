"""Temporal's reset runs a saga again from the past; the fence remembers what came after it."""

from __future__ import annotations

from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus

from tests.workflows.ordered import Ordered
from tests.workflows.steps import side_by_side
from tests.world import World


async def is_reset_to_its_beginning(order: Ordered) -> None:
    history = await order.handle.fetch_history()
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    first = next(event.event_id for event in history.events if event.event_type == completed)
    client = order.world.client
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=order.id),
            reason="from the beginning",
            workflow_task_finish_event_id=first,
            request_id=uuid4().hex,
        )
    )


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
    await is_reset_to_its_beginning(order)
    assert await order.ends() == WorkflowExecutionStatus.FAILED
    await order.leaves_a_clean_slate()


@side_by_side
async def test_a_completed_order_that_is_reset_repeats_nothing(world: World) -> None:
    order = await world.an_order()
    await order.starts()
    assert await order.ends() == WorkflowExecutionStatus.COMPLETED
    before = await order.leaves_a_clean_slate()
    await is_reset_to_its_beginning(order)
    assert await order.ends() == WorkflowExecutionStatus.COMPLETED
    assert await order.leaves_a_clean_slate() == before
