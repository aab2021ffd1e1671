"""Workers by version: a saga ends on the release that began it, and processes of months move on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from temporalio.client import WorkflowExecutionStatus

from domain.credit.commands import AssignLimit
from domain.identifiers import OrderId
from handrail.sagas.events import SagaEnded, SagaStarted, StepCompensated, StepDone
from handrail.sagas.options import RunOptions
from handrail.temporal.deployments import DeploymentRefused, NotYet
from handrail.testing.evidence import read
from handrail.testing.running_saga import Placement, Running, eventually
from tests.controls import a_customer, an_order_id, eur
from tests.workflows.asked import does
from tests.workflows.growing import Before, Grow
from tests.workflows.releases import Fleet, of, printed
from tests.workflows.two_releases import BY_ITS_SHAPES, FIRST, SECOND, OnlyAfter
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED
CANCELED = WorkflowExecutionStatus.CANCELED
OLD, NEW = ["AssignLimit"], ["HoldCredit", "AssignLimit"]


async def a_saga(fleet: Fleet, world: World, steps: Placement = "local") -> Running:
    customer, order = a_customer(), an_order_id()
    await does(world, AssignLimit(customer=customer, limit=eur(500)))
    place = fleet.place
    return Running(
        world=place,
        id=order,
        workflow=Before,
        input=Grow(customer=customer, order=OrderId(order), limit=eur(100)),
        options=RunOptions(
            queue_prefix=place.queue_prefix, deadline_seconds=1, patience_seconds=1, steps=steps
        ),
    )


async def a_parked_saga(fleet: Fleet, world: World, step: str = "AssignLimit") -> Running:
    saga = await a_saga(fleet, world)
    saga.fails(step)
    await saga.starts()
    await saga.parks(step)
    return saga


async def done(saga: Running) -> list[str]:
    return [one.step for one in (await read(saga.world, saga.id)).told(StepDone)]


async def test_a_saga_ends_with_the_steps_of_the_release_that_began_it(
    world: World, fleet: Fleet
) -> None:
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        old = await a_parked_saga(fleet, world)
        async with fleet.working("2.0", SECOND):
            await fleet.promotes("2.0")
            new = await a_saga(fleet, world)
            await new.starts()
            assert await new.ends() == COMPLETED
            old.recovers("AssignLimit")
            await old.is_told("retry")
            assert await old.ends() == COMPLETED
    assert (await done(old), await done(new)) == (OLD, NEW)
    assert [one.shape for one in (await read(old.world, old.id)).told(SagaStarted)] == [1]
    assert (await fleet.version_of(old.id), await fleet.version_of(new.id)) == ("1.0", "2.0")


async def test_a_saga_that_a_newer_release_starts_begins_in_the_shape_of_the_current_version(
    world: World, fleet: Fleet
) -> None:
    """Its API serves before its workers are promoted."""
    async with fleet.working("1.0", [BY_ITS_SHAPES.workflow]):
        await fleet.promotes("1.0")
        saga = await a_saga(fleet, world)
        saga.options = replace(saga.options, shape=2)
        await saga.starts()
        assert await saga.ends() == COMPLETED
    assert await done(saga) == OLD
    assert [one.shape for one in (await read(saga.world, saga.id)).told(SagaStarted)] == [1]


@pytest.mark.thorough
async def test_what_the_old_release_did_is_taken_back_by_the_old_release(
    world: World, fleet: Fleet
) -> None:
    """Here it is the older release that has the step; the newer knows nothing of it."""
    async with fleet.working("1.0", [OnlyAfter]):
        await fleet.promotes("1.0")
        old = await a_parked_saga(fleet, world)
        async with fleet.working("2.0", [Before]):
            await fleet.promotes("2.0")
            await old.is_told("resolve", happened=False)
            assert await old.ends() == COMPLETED
    told = await read(old.world, old.id)
    assert [one.step for one in told.told(StepCompensated)] == ["HoldCredit"]
    assert [one.ending for one in told.told(SagaEnded)] == ["compensated"]


@pytest.mark.thorough
async def test_a_version_is_drained_once_its_last_saga_has_ended(
    world: World, fleet: Fleet
) -> None:
    operator = fleet.operator()
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        old = await a_parked_saga(fleet, world)
        async with fleet.working("2.0", SECOND):
            await fleet.promotes("2.0")

            async def is_counted() -> bool:
                return bool(of(await operator.status(), "1.0")["parked"] == 1)

            await eventually(is_counted, "the parked saga is counted")
            before = await operator.drain("1.0", within=0)
            assert before[0] == 1
            assert of(before, "1.0")["state"] == "draining"
            old.recovers("AssignLimit")
            await old.is_told("retry")
            after = await operator.drain("1.0", within=60)
    assert after[0] == 0
    found = of(after, "1.0")
    assert (found["state"], found["running"]) == ("drained", 0)
    assert "1.0 is drained: its 1 worker can be stopped" in printed(operator)


@pytest.mark.thorough
async def test_a_release_is_taken_back_by_promoting_the_one_before(
    world: World, fleet: Fleet
) -> None:
    async with fleet.working("1.0", FIRST), fleet.working("2.0", SECOND):
        await fleet.promotes("1.0")
        await fleet.promotes("2.0")
        new = await a_parked_saga(fleet, world)
        await fleet.promotes("1.0")
        old = await a_saga(fleet, world)
        await old.starts()
        assert await old.ends() == COMPLETED
        new.recovers("AssignLimit")
        await new.is_told("retry")
        assert await new.ends() == COMPLETED
        said, _ = await fleet.status()
    assert said["current"] == "1.0"
    assert (await done(old), await done(new)) == (OLD, NEW)


@pytest.mark.thorough
async def test_before_the_first_promotion_sagas_wait_unless_a_worker_has_no_version(
    world: World, fleet: Fleet
) -> None:
    async with fleet.working("1.0", FIRST):
        waiting = await a_saga(fleet, world)
        await waiting.starts()
        await eventually(lambda: is_known(fleet, "1.0"), "the version is known")
        said, text = await fleet.status()
        assert said["current"] is None
        assert "no version is current" in text
        async with fleet.working(None, FIRST):
            assert await waiting.ends() == COMPLETED
            assert await fleet.version_of(waiting.id) == ""
            between = await a_parked_saga(fleet, world)
        await fleet.promotes("1.0")
        between.recovers("AssignLimit")
        await between.is_told("retry")
        assert await between.ends() == COMPLETED
    assert await fleet.version_of(between.id) == "1.0"
    assert await done(between) == OLD


async def is_known(fleet: Fleet, build_id: str) -> bool:
    try:
        found = await fleet.operator().deployments.describe()
        return found.version(build_id).workers > 0
    except NotYet:
        return False


@pytest.mark.thorough
async def test_a_ramp_gives_a_part_of_the_sagas_to_the_new_version(
    world: World, fleet: Fleet
) -> None:
    async with fleet.working("1.0", FIRST), fleet.working("2.0", SECOND):
        await fleet.promotes("1.0")
        operator = fleet.operator()
        result = await operator.ramp("2.0", 50, within=60)
        assert of(result, "2.0")["state"] == "ramping"
        sagas = [await a_saga(fleet, world) for _ in range(16)]
        for saga in sagas:
            await saga.starts()
        assert {await saga.ends() for saga in sagas} == {COMPLETED}
        versions = [await fleet.version_of(saga.id) for saga in sagas]
        assert set(versions) == {"1.0", "2.0"}
        _, said = await operator.ramp("2.0", 0, within=60)
    assert said["ramping"] is None


@pytest.mark.quick(1)
@pytest.mark.parametrize("build_id", ["1.0", "2.0"])
async def test_what_is_in_use_is_not_drained(fleet: Fleet, build_id: str) -> None:
    async with fleet.working("1.0", FIRST), fleet.working("2.0", SECOND):
        await fleet.promotes("1.0")
        await fleet.operator().ramp("2.0", 10, within=60)
        with pytest.raises(DeploymentRefused, match="promote another version first"):
            await fleet.operator().drain(build_id, within=0)


async def test_a_version_without_workers_is_not_promoted(fleet: Fleet) -> None:
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        with pytest.raises(NotYet, match=r"HANDRAIL_BUILD_ID=9\.9"):
            await fleet.operator().promote("9.9", within=0)
        said, _ = await fleet.status()
    assert said["current"] == "1.0"


@pytest.mark.thorough
async def test_a_version_whose_workers_leave_out_a_queue_is_not_promoted(
    world: World, fleet: Fleet
) -> None:
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        saga = await a_saga(fleet, world, "queues")
        await saga.starts()
        assert await saga.ends() == COMPLETED
        async with fleet.working("2.0", SECOND, contexts=["sagas"]):
            await eventually(lambda: is_known(fleet, "2.0"), "the version is known")
            with pytest.raises(NotYet, match="missing active task queues"):
                await fleet.operator().promote("2.0", within=0)


@pytest.mark.thorough
async def test_processes_of_months_go_on_on_the_current_version_when_theirs_is_drained(
    fleet: Fleet,
) -> None:
    client, queue = fleet.place.client, f"{fleet.place.queue_prefix}sagas"
    async with fleet.working("1.0", FIRST):
        await fleet.promotes("1.0")
        handle = await client.start_workflow(
            "Waiting", [], id=f"waiting-{an_order_id()}", task_queue=queue, result_type=list[str]
        )
        await eventually(lambda: runs_on(fleet, handle.id, "1.0"), "it runs on 1.0")
        async with fleet.working("2.0", SECOND):
            await fleet.promotes("2.0")
            code, _ = await fleet.operator().drain("1.0", within=60)
            assert code == 0
            assert await fleet.version_of(handle.id) == "2.0"
            await handle.signal("end")
            # Its history of the first release, which has no timer, was never read by the second.
            last = client.get_workflow_handle(handle.id, result_type=list[str])
            assert await last.result() == ["first", "second"]


async def runs_on(fleet: Fleet, workflow_id: str, build_id: str) -> bool:
    return await fleet.version_of(workflow_id) == build_id
