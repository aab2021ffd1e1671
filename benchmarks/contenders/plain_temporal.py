"""Temporal and nothing else: a workflow with as many activities as a checkout has steps.

They do nothing at all, and run as they do by default, on a task queue; the two that run side by
side in a checkout do so here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from benchmarks.contenders.turns import Saga, contend

QUEUE: Final = "plain"
STEPS: Final = 10


@activity.defn
async def do_nothing(step: int) -> None:
    pass


async def _ask(step: int) -> None:
    await workflow.execute_activity(do_nothing, step, start_to_close_timeout=timedelta(seconds=10))


@workflow.defn
class Plain:
    @workflow.run
    async def run(self) -> None:
        await _ask(0)
        await asyncio.gather(_ask(1), _ask(2))
        for step in range(3, STEPS):
            await _ask(step)


@asynccontextmanager
async def open_workflows(_: str, temporal: str) -> AsyncIterator[Saga]:
    client = await Client.connect(temporal)

    async def saga(number: int) -> None:
        await client.execute_workflow(Plain.run, id=f"plain-{number}", task_queue=QUEUE)

    async with Worker(client, task_queue=QUEUE, workflows=[Plain], activities=[do_nothing]):
        yield saga


if __name__ == "__main__":
    contend(open_workflows)
