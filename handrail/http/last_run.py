"""The last run of a saga, as Temporal remembers it: so that another attempt can follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from handrail.http.temporal_errors import RPC, temporal_reachable
from handrail.sagas.events import Ending
from handrail.sagas.options import SagaResult

REQUEST: Final = "request"
"""What a saga's memo calls the request that it was started for."""
_ATTEMPT: Final = 3
"""Which argument of a saga's workflow is the attempt."""


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """`ending` is None where the saga goes on, or where its workflow ended before it did."""

    attempt: int
    running: bool
    request: str
    ending: Ending | None


async def last_run(client: Client, saga: str) -> LastRun | None:
    """None where there never was one, or Temporal has forgotten it."""
    try:
        async with temporal_reachable():
            found = await client.get_workflow_handle(saga).describe(rpc_timeout=RPC)
            handle = client.get_workflow_handle(saga, run_id=found.run_id, result_type=SagaResult)
            result = None
            if found.status is WorkflowExecutionStatus.COMPLETED:
                result = await handle.result(rpc_timeout=RPC)
            return LastRun(
                attempt=await _attempt(client, handle),
                running=found.status is WorkflowExecutionStatus.RUNNING,
                request=await found.memo_value(REQUEST, ""),
                ending=result.ending if result else None,
            )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def _attempt(client: Client, run: WorkflowHandle[object, SagaResult]) -> int:
    async for event in run.fetch_history_events(page_size=1, rpc_timeout=RPC):
        arguments = event.workflow_execution_started_event_attributes.input.payloads
        [attempt] = await client.data_converter.decode([arguments[_ATTEMPT]], [int])
        return int(attempt)
    return 1
