"""What is sent to a saga while nobody works on it: Temporal has it before the next worker comes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.update.v1 import UpdateRef
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from tests.workflows.running import Running, eventually

ACCEPTED = "accepted"


async def knocks(saga: Running, update: str, *arguments: Any) -> asyncio.Task[str]:
    """Send an update that Temporal keeps until a worker comes; what becomes of it is `ACCEPTED`, or
    the type of the refusal.
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
            return "ended"
        return ACCEPTED

    async def is_there() -> bool:
        return answer.done() or await _has(saga, id_)

    answer = asyncio.create_task(heard())
    await eventually(is_there, f"Temporal has an update of {saga.id}")
    return answer


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
