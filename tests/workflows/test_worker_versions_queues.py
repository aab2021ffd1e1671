"""Where Temporal routes the activities of a saga of a version."""

from __future__ import annotations

from dataclasses import replace

import pytest
from temporalio.client import WorkflowExecutionStatus

from domain.credit.commands import AssignLimit
from domain.credit.events import LimitAssigned
from handrail.eventstore.store import ANY_VERSION
from handrail.kernel import stream_name
from handrail.sagas.events import SagaEnded, SagaParked
from handrail.testing.evidence import read
from handrail.testing.faults import Fault, Faults
from handrail.testing.running_saga import eventually
from tests.controls import a_customer, eur
from tests.workflows.asked import does
from tests.workflows.releases import Fleet
from tests.workflows.test_newer_code import of_the_next_release
from tests.workflows.test_worker_versions import a_saga
from tests.workflows.two_releases import FIRST, SECOND
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED


@pytest.mark.thorough
async def test_the_steps_on_queues_of_contexts_run_on_the_version_of_their_saga(
    world: World, fleet: Fleet
) -> None:
    newer = replace(fleet.place, faults=Faults(fleet.place.store))
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        saga = await a_saga(fleet, world, "queues")
        saga.fails("AssignLimit")
        await saga.starts()
        await saga.parks("AssignLimit")
        here = saga.fault("AssignLimit")
        here.fails, here.tries = 0, 0
        there = newer.faults.told.setdefault((saga.id, "AssignLimit", "do"), Fault())
        async with fleet.working("2.0", SECOND, activities=newer.activities()):
            await fleet.promotes("2.0")
            await saga.is_told("retry")
            assert await saga.ends() == COMPLETED
    assert (here.tries, there.tries) == (1, 0)


@pytest.mark.thorough
async def test_workers_of_a_context_without_a_version_serve_sagas_of_every_version(
    world: World, fleet: Fleet
) -> None:
    async with (
        fleet.working("1.0", FIRST, contexts=["sagas"]),
        fleet.working(None, FIRST, contexts=["credit"]),
    ):
        await fleet.promotes("1.0")
        saga = await a_saga(fleet, world, "queues")
        await saga.starts()
        assert await saga.ends() == COMPLETED
    assert await fleet.version_of(saga.id) == "1.0"


async def test_a_request_that_is_a_single_command_goes_to_the_current_version(
    fleet: Fleet,
) -> None:
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        await does(fleet.place, AssignLimit(customer=a_customer(), limit=eur(500)))


@pytest.mark.thorough
async def test_a_step_of_an_old_version_that_meets_an_event_of_newer_code_waits_for_that_code(
    world: World, fleet: Fleet
) -> None:
    newer = await of_the_next_release(fleet.place)
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        saga = await a_saga(fleet, world)
        customer = saga.input.customer
        event = LimitAssigned(customer=customer, limit=eur(700), held=eur(0), used=eur(0))
        await newer.store.append([(stream_name("credit", customer), ANY_VERSION, [event])])
        await saga.starts()

        async def is_left_to_newer_code() -> bool:
            described = await saga.handle.describe()
            pending = described.raw_description.pending_activities
            causes = [one.last_failure.application_failure_info.type for one in pending]
            return causes == ["UnknownMessage"]

        await eventually(is_left_to_newer_code, "an activity that waits for newer code")
        async with fleet.working("2.0", SECOND, activities=newer.activities()):
            assert await saga.ends() == COMPLETED
    told = await read(newer, saga.id)
    assert [one.ending for one in told.told(SagaEnded)] == ["completed"]
    assert not told.told(SagaParked)
    assert await fleet.version_of(saga.id) == "1.0"
