"""Where steps wait on task queues, merchants take turns: Temporal does it, by the key we give."""

from __future__ import annotations

import statistics
from functools import partial
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from handrail.sagas.fairness import fair
from handrail.testing.running_saga import eventually
from tests.temporal import SANDBOX
from tests.workflows.queueing import Queueing

pytestmark = pytest.mark.thorough

GREEDY, MODEST = ["greedy"] * 30, ["modest"] * 6


async def test_a_merchant_with_much_to_do_does_not_keep_another_waiting_until_its_end(
    temporal: WorkflowEnvironment,
) -> None:
    """All of the greedy merchant's work is in the queue before any of the modest one's."""
    served: list[tuple[str, str | None]] = []

    @activity.defn(name="serve")
    async def serve(merchant: str) -> None:
        served.append((merchant, activity.info().priority.fairness_key))

    queue = f"fairness-{uuid4().hex[:8]}"
    client = temporal.client
    async with Worker(client, task_queue=queue, workflows=[Queueing], workflow_runner=SANDBOX):
        waiting: list[WorkflowHandle[Queueing, None]] = []
        for merchant in [*GREEDY, *MODEST]:
            one = await client.start_workflow(
                Queueing.run,
                args=[merchant, f"{queue}-steps"],
                id=f"{queue}-{len(waiting)}",
                task_queue=queue,
                priority=fair(merchant),
            )
            await eventually(partial(_waits, one), "its step is in the queue")
            waiting.append(one)
        one_slot = Worker(
            client, task_queue=f"{queue}-steps", activities=[serve], max_concurrent_activities=1
        )
        async with one_slot:
            for one in waiting:
                await one.result()

    assert all(merchant == key for merchant, key in served), "an activity has its saga's key"
    merchants = [merchant for merchant, _ in served]
    assert sorted(merchants) == sorted([*GREEDY, *MODEST])
    turns = [turn for turn, merchant in enumerate(merchants) if merchant == "modest"]
    # In the order of arrival it would be theirs after all others.
    assert statistics.median(turns) < len(merchants) / 2, merchants


async def _waits(one: WorkflowHandle[Queueing, None]) -> bool:
    description = await one.describe()
    return bool(description.raw_description.pending_activities)
