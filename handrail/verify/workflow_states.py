"""Which workflows run, as Temporal says: asked one by one, since a list may lag behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from handrail.sagas.visibility import SAGA_STATUS
from handrail.verify.evidence import Workflow

_AT_ONCE: Final = 20
_LISTED_AT_ONCE: Final = 100
_PARKED: Final = 'SagaStatus = "parked" AND ExecutionStatus = "Running"'


class WorkflowStates:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def of(self, ids: Iterable[str]) -> Mapping[str, Workflow]:
        """The latest runs; what Temporal never had, or has forgotten, is left out."""
        wanted = sorted(set(ids))
        found = await asyncio.gather(*(self._describe(id_) for id_ in wanted))
        pairs = zip(wanted, found, strict=True)
        return {id_: one for id_, one in pairs if one is not None}

    async def parked(self) -> AsyncIterator[Sequence[str]]:
        """The ids of those that are listed as parked, some at a time; the list may lag behind."""
        some = list[str]()
        async for one in self._client.list_workflows(_PARKED):
            some.append(one.id)
            if len(some) == _LISTED_AT_ONCE:
                yield some
                some = []
        yield some

    async def _describe(self, id_: str) -> Workflow | None:
        async with self._places:
            try:
                found = await self._client.get_workflow_handle(id_).describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise
        return Workflow(
            running=found.status == WorkflowExecutionStatus.RUNNING,
            parked=found.typed_search_attributes.get(SAGA_STATUS) == "parked",
            closed_at=found.close_time,
        )
