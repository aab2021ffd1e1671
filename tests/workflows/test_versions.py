"""The recipe of docs/versioning.md, with a saga whose shape changed once."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import Worker

from domain.credit.commands import AssignLimit
from domain.identifiers import OrderId
from handrail.sagas.events import SagaStarted, StepDone
from handrail.sagas.options import RunOptions
from handrail.testing.evidence import read
from handrail.testing.running_saga import Running, eventually
from runtime.app import HANDRAIL
from tests.controls import a_customer, an_order_id, eur
from tests.temporal import SANDBOX
from tests.workflows.asked import does
from tests.workflows.growing import After, Before, Grow
from tests.workflows.steps import all_others_have_ended
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED


async def growing(world: World, place: World, shape: int) -> Running:
    customer, order = a_customer(), an_order_id()
    await does(world, AssignLimit(customer=customer, limit=eur(500)))
    return Running(
        world=place,
        id=order,
        workflow=After,
        input=Grow(customer=customer, order=OrderId(order), limit=eur(100)),
        options=RunOptions(queue_prefix=place.queue_prefix, patience_seconds=1, shape=shape),
    )


async def done(saga: Running) -> tuple[list[int], list[str]]:
    """The shapes it began in, and the steps it did."""
    found = await read(saga.world, saga.id)
    return [one.shape for one in found.told(SagaStarted)], [
        one.step for one in found.told(StepDone)
    ]


@pytest.fixture
def place(world: World) -> World:
    return world.elsewhere()


def worker(place: World, code: type) -> Worker:
    return Worker(
        place.client,
        task_queue=f"{place.queue_prefix}sagas",
        workflows=[code],
        activities=[one for group in place.activities().values() for one in group],
        workflow_runner=SANDBOX,
    )


async def test_a_saga_ends_in_the_shape_in_which_it_began(world: World, place: World) -> None:
    await all_others_have_ended()
    old = await growing(world, place, 1)
    old.fails("AssignLimit")
    async with worker(place, Before):
        await old.starts()
        await old.parks("AssignLimit")
    new = await growing(world, place, 2)
    async with worker(place, After):
        await new.starts()
        assert await new.ends() == COMPLETED
        old.recovers("AssignLimit")
        await old.is_told("retry")
        assert await old.ends() == COMPLETED
    assert await done(old) == ([1], ["AssignLimit"])
    assert await done(new) == ([2], ["HoldCredit", "AssignLimit"])


@pytest.mark.thorough
async def test_a_worker_that_does_not_know_a_shape_leaves_the_saga_to_one_that_does(
    world: World, place: World
) -> None:
    await all_others_have_ended()
    new = await growing(world, place, 2)

    async def has_failed_tasks() -> bool:
        history = await new.handle.fetch_history()
        failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        return any(event.event_type == failed for event in history.events)

    async with worker(place, Before):
        await new.starts()
        await eventually(has_failed_tasks, "a failed workflow task")
    assert await done(new) == ([], [])
    async with worker(place, After):
        assert await new.ends() == COMPLETED
    assert await done(new) == ([2], ["HoldCredit", "AssignLimit"])


def test_every_saga_begins_in_the_shape_that_its_code_has() -> None:
    shapes = {name: one.example().shape for name, one in HANDRAIL.saga_types.items()}
    assert {name: one.workflow.shape for name, one in HANDRAIL.saga_types.items()} == shapes
