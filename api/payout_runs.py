"""Payout runs in Temporal: started, queried, paused and resumed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import uuid4

from fastapi import Depends
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from handrail.http.dependencies import ServicesDep
from handrail.http.problems import Problem
from handrail.http.start_input import begun_with
from handrail.http.temporal_errors import RPC, asking, temporal_reachable
from handrail.http.temporal_gateway import TemporalGateway
from handrail.kernel import Attribution
from workflows import pay_merchants
from workflows.pay_merchants import PayMerchants, Progress

_NAME: Final = "pay-merchants"
_RUNS: Final = (pay_merchants.TYPE,)


def workflow_id(queue_prefix: str, run: str = "") -> str:
    """Of a run or, without one, what the ids of all runs begin with: others may share Temporal."""
    return f"{queue_prefix}{_NAME}-{run}" if run else f"{queue_prefix}{_NAME}"


class PayoutRuns:
    def __init__(self, processes: TemporalGateway) -> None:
        self._processes = processes
        self._client = processes.client

    async def start(self, minimum: int, actor: str) -> str:
        """The run of today. Started before, or even ended, is started.

        Raises Problem where the run of today pays by another minimum.
        """
        run, asked = datetime.now(UTC).date().isoformat(), PayMerchants(minimum=minimum)
        async with temporal_reachable():
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await self._client.start_workflow(
                    pay_merchants.TYPE,
                    args=[asked, self._processes.options, actor, None],
                    id=self._id(run),
                    task_queue=self._processes.queue,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    static_summary=f"asked for by {actor}",
                    rpc_timeout=RPC,
                )
                return run
        before = await self._asked_for(run)
        if before == asked:
            return run
        message = f"the run {run} was begun before"
        if before:
            message = (
                f"{message}, and pays whoever is owed at least {before.minimum}, not {minimum}"
            )
        raise Problem("content-differs", message, headers={"Location": f"/payouts/{run}"})

    async def _asked_for(self, run: str) -> PayMerchants | None:
        found = await begun_with(self._client, self._id(run))
        if found is None or found.workflow_type not in _RUNS:
            return None
        return await found.argument(0, PayMerchants)

    def _id(self, run: str) -> str:
        return workflow_id(self._processes.options.queue_prefix, run)

    async def progress(self, run: str) -> Progress:
        """Raises Problem where there is no such run, or no worker answers for it."""
        with _of(run):
            async with asking(self._client, self._id(run), of=_RUNS):
                handle = self._client.get_workflow_handle(self._id(run))
                found: Progress = await handle.query(
                    "progress", result_type=Progress, rpc_timeout=RPC
                )
                return found

    async def pause(self, run: str, by: Attribution, key: str | None) -> None:
        await self._tell(run, "pause", by, key)

    async def resume(self, run: str, by: Attribution, key: str | None) -> None:
        await self._tell(run, "resume", by, key)

    async def _tell(self, run: str, update: str, by: Attribution, key: str | None) -> None:
        with _of(run):
            id_ = f"{update}-{key or uuid4().hex}"
            await self._processes.execute_update(self._id(run), update, [by], id_=id_, of=_RUNS)


@contextlib.contextmanager
def _of(run: str) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        if problem.slug == "not-found":
            raise Problem("not-found", f"there is no run of payouts {run}") from None
        raise


async def payout_runs(services: ServicesDep) -> PayoutRuns:
    return PayoutRuns(services.processes)


PayoutRunsDep = Annotated[PayoutRuns, Depends(payout_runs)]
