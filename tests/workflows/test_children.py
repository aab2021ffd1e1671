"""A cancellation that Temporal delivers together with the end of a child."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import Worker

from domain.credit.commands import AssignLimit
from domain.identifiers import OrderId
from handrail.sagas.events import CancelRequested, StepDone
from handrail.sagas.options import RunOptions
from handrail.testing.evidence import read
from handrail.testing.running_saga import Running, eventually
from tests.controls import a_customer, an_order_id, eur
from tests.temporal import SANDBOX
from tests.workflows.asked import does
from tests.workflows.growing import Grow
from tests.workflows.parent import Nap, Parent
from tests.world import World

CHILD_STARTED = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
CHILD_COMPLETED = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED
CANCEL_REQUESTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
TASK_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED


async def test_a_cancellation_in_the_same_task_as_the_end_of_a_child_is_not_lost(
    world: World,
) -> None:
    place = world.elsewhere()
    customer, order = a_customer(), an_order_id()
    await does(world, AssignLimit(customer=customer, limit=eur(100)))
    saga = Running(
        world=place,
        id=order,
        workflow=Parent,
        input=Grow(customer=customer, order=OrderId(order), limit=eur(100)),
        options=RunOptions(queue_prefix=place.queue_prefix),
    )

    async def kinds() -> list[int]:
        return [event.event_type for event in (await saga.handle.fetch_history()).events]

    async def naps() -> bool:
        return CHILD_STARTED in await kinds()

    async def was_woken() -> bool:
        return CHILD_COMPLETED in await kinds()

    naps_here = Worker(
        place.client,
        task_queue=f"{place.queue_prefix}naps",
        workflows=[Nap],
        workflow_runner=SANDBOX,
    )

    def sagas_here() -> Worker:
        return Worker(
            place.client,
            task_queue=f"{place.queue_prefix}sagas",
            workflows=[Parent],
            activities=[one for group in place.activities().values() for one in group],
            workflow_runner=SANDBOX,
        )

    async with naps_here:
        async with sagas_here():
            await saga.starts()
            await eventually(naps, "the child has begun")
        await place.client.get_workflow_handle(f"nap-{order}").signal(Nap.wake)
        await eventually(was_woken, "the child has ended")
        await saga.handle.cancel()
        async with sagas_here():
            assert await saga.ends() == WorkflowExecutionStatus.CANCELED
    story = await kinds()
    between = story[story.index(CHILD_COMPLETED) : story.index(CANCEL_REQUESTED)]
    assert TASK_STARTED not in between, "they came in two tasks: this proves nothing"
    found = await read(place, order)
    assert found.told(StepDone) == []
    assert [one.actor for one in found.told(CancelRequested)] == ["temporal"]
    assert (found.ended.ending, found.ended.because) == ("compensated", "cancelled")
