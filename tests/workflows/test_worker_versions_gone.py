"""A version whose workers are gone: what an operator sees, and how its sagas go on elsewhere."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus

from handrail.http.problems import Problem
from handrail.http.temporal_errors import execute_update
from handrail.kernel import Attribution
from handrail.sagas.events import StepCompensated
from handrail.temporal.deployments import DeploymentRefused
from handrail.testing.evidence import read
from handrail.testing.running_saga import Running, eventually
from tests.workflows.releases import Fleet, printed
from tests.workflows.test_worker_versions import NEW, OLD, a_parked_saga, done
from tests.workflows.two_releases import FIRST, SECOND
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED


async def a_stranded_saga(fleet: Fleet, world: World) -> Running:
    """It is parked on 1.0, which has no worker any more."""
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        saga = await a_parked_saga(fleet, world)
    saga.recovers("AssignLimit")
    return saga


async def test_an_operator_hears_that_a_version_has_no_worker(world: World, fleet: Fleet) -> None:
    saga = await a_stranded_saga(fleet, world)
    wish = Attribution(actor="operator", reason="no longer wanted")
    async with fleet.working("2.0", SECOND):
        await fleet.promotes("2.0")
        with pytest.raises(Problem) as refused:
            await execute_update(
                fleet.place.client, saga.id, "cancel", [wish], id_="1", of=["Growing"], rules={}
            )
        assert refused.value.slug == "worker-unavailable"
        operator = fleet.operator(polls_within=0)

        async def is_stranded() -> bool:
            code, said = await operator.status()
            return code == 1 and any(one["stranded"] for one in said["versions"])

        await eventually(is_stranded, "the version is said to be stranded")
    assert "1.0: 1 workflow wait, for no worker of it polls" in printed(operator)
    assert "HANDRAIL_BUILD_ID=1.0" in printed(operator)


@pytest.mark.thorough
async def test_a_worker_of_the_same_version_takes_its_sagas_over(
    world: World, fleet: Fleet
) -> None:
    saga = await a_stranded_saga(fleet, world)
    async with fleet.working("2.0", SECOND):
        await fleet.promotes("2.0")
        async with fleet.working("1.0", FIRST):
            await saga.is_told("retry")
            assert await saga.ends() == COMPLETED
    assert await done(saga) == OLD


@pytest.mark.thorough
async def test_a_saga_with_the_same_steps_goes_on_on_another_version(
    world: World, fleet: Fleet
) -> None:
    saga = await a_stranded_saga(fleet, world)
    async with fleet.working("2.0", FIRST):
        await fleet.promotes("2.0")
        code, said = await fleet.operator("2.0", FIRST).move(saga.id, None, "2.0", unchecked=False)
        assert (code, said) == (0, {"moved": [saga.id], "refused": {}})
        await saga.is_told("retry")
        assert await saga.ends() == COMPLETED
    assert await fleet.version_of(saga.id) == "2.0"
    assert await done(saga) == OLD


@pytest.mark.thorough
async def test_a_saga_with_other_steps_is_not_moved(world: World, fleet: Fleet) -> None:
    saga = await a_stranded_saga(fleet, world)
    async with fleet.working("2.0", SECOND):
        await fleet.promotes("2.0")
        operator = fleet.operator("2.0", SECOND)
        code, said = await operator.move(saga.id, None, "2.0", unchecked=False)
    assert (code, said["moved"], list(said["refused"])) == (1, [], [saga.id])
    assert f"not moved: {saga.id}: the code here asks for other steps" in printed(operator)
    assert await fleet.version_of(saga.id) == "1.0"


@pytest.mark.thorough
async def test_what_was_moved_to_other_steps_unchecked_stands_still_until_it_is_moved_back(
    world: World, fleet: Fleet
) -> None:
    saga = await a_stranded_saga(fleet, world)

    async def stands_still() -> bool:
        history = await saga.handle.fetch_history()
        failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        return any(event.event_type == failed for event in history.events)

    async with fleet.working("2.0", SECOND), fleet.working("1.0", FIRST):
        await fleet.promotes("2.0")
        await fleet.operator().move(saga.id, None, "2.0", unchecked=True)
        await saga.handle.signal("anything")
        await eventually(stands_still, "its task fails on 2.0")
        await fleet.operator().move(saga.id, None, "1.0", unchecked=True)
        await saga.is_told("retry")
        assert await saga.ends() == COMPLETED
    assert await done(saga) == OLD
    assert not (await read(saga.world, saga.id)).told(StepCompensated)


@pytest.mark.thorough
async def test_histories_are_replayed_with_the_code_of_the_version_they_are_moved_to(
    fleet: Fleet,
) -> None:
    async with fleet.working("2.0", FIRST):
        await fleet.promotes("2.0")
        with pytest.raises(DeploymentRefused, match=r"HANDRAIL_BUILD_ID=2\.0"):
            await fleet.operator("1.0", FIRST).move("any", None, "2.0", unchecked=False)


@pytest.mark.thorough
async def test_all_of_a_version_are_moved_at_once(world: World, fleet: Fleet) -> None:
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        sagas = [await a_parked_saga(fleet, world) for _ in range(2)]
        deployments = fleet.operator().deployments

        async def are_found() -> bool:
            return len([one async for one in deployments.running_on("1.0")]) == len(sagas)

        await eventually(are_found, "both sagas are found")
    async with fleet.working("2.0", FIRST):
        await fleet.promotes("2.0")
        _, said = await fleet.operator("2.0", FIRST).move(None, "1.0", "2.0", unchecked=False)
        assert sorted(said["moved"]) == sorted(one.id for one in sagas)
        for saga in sagas:
            saga.recovers("AssignLimit")
            await saga.is_told("retry")
            assert await saga.ends() == COMPLETED


@pytest.mark.thorough
async def test_another_attempt_at_a_saga_begins_on_the_current_version(
    world: World, fleet: Fleet
) -> None:
    saga = await a_stranded_saga(fleet, world)
    await saga.is_terminated()
    async with fleet.working("2.0", SECOND):
        await fleet.promotes("2.0")
        await saga.is_started_again()
        assert await saga.ends() == COMPLETED
    assert await fleet.version_of(saga.id) == "2.0"
    assert await done(saga) == NEW
