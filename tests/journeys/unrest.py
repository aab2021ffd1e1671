"""What goes wrong while customers order: workers die, and sagas are terminated and begun again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle
from typing import Final

import httpx
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper

from handrail.dev.supervisor import Service
from runtime.app import HANDRAIL
from runtime.demo.after_checkout import A_MONTH
from tests.journeys.calls import post, slug
from workflows import plan_collection

GONE: Final = frozenset(
    {
        WorkflowExecutionStatus.FAILED,
        WorkflowExecutionStatus.TERMINATED,
        WorkflowExecutionStatus.TIMED_OUT,
    }
)
_LEFT: Final = 'ExecutionStatus IN ("Failed", "Terminated", "TimedOut")'


async def kill_workers(workers: Sequence[Service], *, every: float, killed: list[int]) -> None:
    """Each in turn, as a power cut would, by its process id; another takes its place. For ever."""
    clock = asyncio.get_running_loop()
    due = clock.time() + every
    for victim in cycle(workers):
        await asyncio.sleep(max(0.0, due - clock.time()))
        due += every
        killed.append(victim.pid)
        await victim.kill()
        await victim.start()


async def let_a_month_pass(temporal: Client, chance: random.Random) -> None:
    """For the plan of one order, whose next instalment is due then."""
    query = f'WorkflowType = "{plan_collection.TYPE}" AND ExecutionStatus = "Running"'
    if plans := [one.id async for one in temporal.list_workflows(query)]:
        await _put_forward(temporal, chance.choice(plans), A_MONTH)


async def look_again(temporal: Client) -> None:
    """Processes look seldom whether a saga that stopped has ended: have them look now."""
    query = 'SagaStatus = "parked" AND ExecutionStatus = "Running"'
    parked = [one async for one in temporal.list_workflows(query)]
    for one in parked:
        if one.workflow_type not in HANDRAIL.saga_types:
            await _put_forward(temporal, one.id, timedelta(hours=1))


async def _put_forward(temporal: Client, workflow: str, by: timedelta) -> None:
    with suppress(RPCError):  # it has ended, or no worker is there to say when its clock rings
        await TimeSkipper(temporal).fast_forward(temporal.get_workflow_handle(workflow), by)


@dataclass
class Terminations:
    """Ends the workflows of sagas, and has another attempt begun at what was left."""

    temporal: Client
    client: httpx.AsyncClient
    terminated: Counter[str] = field(default_factory=Counter)
    """How often, by the type of the saga."""
    attempts: Counter[str] = field(default_factory=Counter)
    """What was answered to who asked for another attempt."""
    _over: set[tuple[str, str]] = field(default_factory=set)

    async def terminate(self, saga: str, saga_type: str) -> bool:
        """Whether there was anything to terminate."""
        try:
            await self.temporal.get_workflow_handle(saga).terminate(reason="the journey says so")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        self.terminated[saga_type] += 1
        return True

    async def begin_again(self, saga: str) -> bool:
        """Whether another attempt was begun."""
        answer = await post(
            self.client, f"/sagas/{saga}/attempts", {"reason": "it was terminated", "actor": "ops"}
        )
        self.attempts[slug(answer)] += 1
        return not answer.is_error

    async def any_of(self, types: Collection[str], chance: random.Random) -> None:
        """Terminate one that runs now, if one does."""
        of_them = ", ".join(f'"{one}"' for one in sorted(types))
        query = f'WorkflowType IN ({of_them}) AND ExecutionStatus = "Running"'
        found = [(one.id, one.workflow_type) async for one in self.temporal.list_workflows(query)]
        if found:
            await self.terminate(*chance.choice(found))

    async def clear_up(self) -> Sequence[str]:
        """Have everything begun again that was left; the sagas for which that was needed."""
        found = []
        for saga, run in await self._left():
            if not await self.begin_again(saga):
                self._over.add((saga, run))
            found.append(saga)
        return found

    async def _left(self) -> Sequence[tuple[str, str]]:
        """Sagas whose last run ended before they did, as Temporal says."""
        ids = {
            one.id
            async for one in self.temporal.list_workflows(_LEFT)
            if one.workflow_type in HANDRAIL.saga_types
        }
        found = []
        for saga in sorted(ids):
            last = await self.temporal.get_workflow_handle(saga).describe()
            if last.status in GONE and (saga, last.run_id) not in self._over:
                found.append((saga, last.run_id))
        return found
