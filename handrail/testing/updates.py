"""What is sent to a saga while nobody works on it: Temporal has it before the next worker comes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.update.v1 import UpdateRef
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from handrail.testing.running_saga import Running, eventually

ACCEPTED = "accepted"
ENDED = "ended"
"""The workflow is over: nobody hears anything any more."""


async def knocks(saga: Running, update: str, *arguments: Any) -> asyncio.Task[str]:
    """Send an update that Temporal keeps until a worker comes; what becomes of it is `ACCEPTED`,
    `ENDED` or the type of the refusal.
    """
    id_ = uuid4().hex

    async def heard() -> str:
        try:
            await saga.handle.execute_update(update, args=list(arguments), id=id_)
        except WorkflowUpdateFailedError as refused:
            cause = refused.cause
            return (isinstance(cause, ApplicationError) and cause.type) or str(cause)
        except RPCError as gone:
            if gone.status != RPCStatusCode.NOT_FOUND:
                raise
            return ENDED
        return ACCEPTED

    async def is_there() -> bool:
        return answer.done() or await _has(saga, id_)

    answer = asyncio.create_task(heard())
    await eventually(is_there, f"Temporal has an update of {saga.id}")
    return answer


async def is_reset(saga: Running) -> None:
    """To its beginning, by an operator of Temporal: what ran until then runs no more."""
    history = await saga.handle.fetch_history()
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    started = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
    found = {event.event_type: event.event_id for event in reversed(history.events)}
    client = saga.world.client
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=saga.id),
            reason="from the beginning",
            workflow_task_finish_event_id=found.get(completed, found[started]),
            request_id=uuid4().hex,
        )
    )


async def _has(saga: Running, update: str) -> bool:
    client = saga.world.client
    asked = PollWorkflowExecutionUpdateRequest(
        namespace=client.namespace,
        update_ref=UpdateRef(
            workflow_execution=WorkflowExecution(workflow_id=saga.id), update_id=update
        ),
    )
    try:
        await client.workflow_service.poll_workflow_execution_update(asked)
    except RPCError as unknown:
        if unknown.status != RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True
