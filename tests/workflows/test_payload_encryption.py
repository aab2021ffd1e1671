"""Payloads at Temporal are ciphertext, for sagas, their steps, children, updates and failures."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer

from handrail.http.problems import Problem
from handrail.http.temporal_errors import query_workflow
from handrail.sagas.events import SagaParked
from handrail.temporal.client import workers
from handrail.temporal.payload_keys import read_ring, rotate_ring
from handrail.testing.evidence import read
from handrail.testing.running_saga import Placement, Running, eventually
from runtime.app import HANDRAIL
from tests.encrypting import (
    a_ring,
    beside,
    clear_in,
    encryption_at,
    everything_in,
    history_of,
    keys_of,
    with_ring,
)
from tests.temporal import SANDBOX
from tests.workflows.ordered import Ordered
from tests.world import World

COMPLETED = WorkflowExecutionStatus.COMPLETED
CANARY = "card_ok"
SAID = "failed before its effect"
EACH_PLACE = pytest.mark.parametrize("steps", ["local", "queues"])


def newest(ring: Path) -> str:
    return read_ring(ring)[-1].id


async def task_failures(saga: Running) -> int:
    events = (await history_of(saga)).events
    return sum(one.HasField("workflow_task_failed_event_attributes") for one in events)


@pytest.mark.quick(1)
@EACH_PLACE
async def test_a_history_holds_no_card_no_amount_and_no_event(
    world: World, tmp_path: Path, steps: Placement
) -> None:
    place = beside(world, a_ring(tmp_path))
    async with place.at_work():
        order = await place.an_order(steps)
        await order.starts()
        assert await order.ends() == COMPLETED
    stored = everything_in(await history_of(order))
    sku = order.input.lines[0].sku
    for clear in (CANARY, "addr_ok", "json/message", "OrderPlaced", sku, order.input.customer):
        assert clear.encode() not in stored, clear


async def test_what_is_searched_for_stays_readable(world: World, tmp_path: Path) -> None:
    place = beside(world, a_ring(tmp_path))
    async with place.at_work():
        order = await place.an_order()
        await order.starts()
        assert await order.ends() == COMPLETED
        assert (await order.shown()).saga_type == "Checkout"


async def test_the_same_history_without_keys_holds_the_card(world: World) -> None:
    """So the test above can fail."""
    place = world.elsewhere()
    async with place.at_work():
        order = await place.an_order()
        await order.starts()
        assert await order.ends() == COMPLETED
    assert CANARY.encode() in everything_in(await history_of(order))


@pytest.mark.quick(1)
@EACH_PLACE
async def test_what_a_failed_step_says_is_encrypted_and_read_by_the_saga(
    world: World, tmp_path: Path, steps: Placement
) -> None:
    place = beside(world, a_ring(tmp_path))
    async with place.at_work():
        order = await place.an_order(steps, patience=2)
        order.fails("ConfirmOrder")
        await order.starts()

        async def parked() -> bool:
            return bool((await read(place, order.id)).told(SagaParked))

        await eventually(parked, f"{order.id} parks")
        [told] = (await read(place, order.id)).told(SagaParked)
        assert SAID in told.cause
        assert clear_in(await history_of(order), SAID) == set()
        await order.is_terminated()


async def test_a_refused_update_is_read_by_the_one_that_asked(world: World, tmp_path: Path) -> None:
    place = beside(world, a_ring(tmp_path))
    async with place.at_work():
        order = await place.an_order()
        gate = order.is_held("HoldCredit")
        await order.starts()
        await gate.reached()
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await order.is_told("retry", "HoldCredit")
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "NotParked"
        assert refused.value.cause.message != "Encoded failure"
        await order.is_terminated()
        gate.open()


async def test_a_refused_query_has_words_for_the_one_that_asked(
    world: World, tmp_path: Path
) -> None:
    """Temporal hands on the message alone, which is encrypted: ours says as much as there is."""
    words = {}
    for name, place in {"clear": world.elsewhere(), "": beside(world, a_ring(tmp_path))}.items():
        async with place.at_work():
            order = await place.an_order()
            await order.starts()
            assert await order.ends() == COMPLETED
            with pytest.raises(Problem) as refused:
                await query_workflow(
                    place.client, order.id, "parked_command", "HoldCredit", of=["Checkout"]
                )
            words[name] = refused.value.detail
            assert refused.value.slug == "not-parked"
    assert words["clear"] == "name the one step that is parked; parked now: none"
    assert "no such step is parked" in words[""]


async def test_a_history_that_began_in_clear_goes_on_encrypted(
    world: World, tmp_path: Path
) -> None:
    place = world.elsewhere()
    order = await place.an_order()
    await order.starts()
    encrypted = with_ring(place, a_ring(tmp_path))
    async with encrypted.at_work():
        order.world = encrypted
        assert await order.ends() == COMPLETED
    history = await history_of(order)
    assert CANARY.encode() in everything_in(history)
    assert keys_of(history)


async def test_an_old_history_is_read_and_replays_after_the_key_was_rotated(
    world: World, tmp_path: Path
) -> None:
    ring = a_ring(tmp_path)
    place = beside(world, ring)
    async with place.at_work():
        order = await place.an_order()
        await order.starts()
        assert await order.ends() == COMPLETED
    first = newest(ring)
    rotate_ring(ring, timedelta(0))

    later = with_ring(place, ring)
    order.world = later
    result = await order.handle.result()
    assert result.ending == "completed"
    history = await history_of(order)
    assert keys_of(history) == {first}
    replayer = Replayer(
        workflows=HANDRAIL.all_workflows,
        namespace=later.client.namespace,
        data_converter=later.client.data_converter,
        workflow_runner=SANDBOX,
    )
    await replayer.replay_workflow(history)


@pytest.mark.thorough
async def test_a_rotation_while_sagas_run_fails_no_task(world: World, tmp_path: Path) -> None:
    """The workers take up the new key by themselves; each saga has payloads of both keys."""
    ring = a_ring(tmp_path)
    place = beside(world, ring)
    async with place.at_work():
        orders = [await place.an_order("queues") for _ in range(6)]
        gates = [order.is_held("HoldCredit") for order in orders]
        for order in orders:
            await order.starts()
        old = newest(ring)
        await asyncio.gather(*(gate.reached() for gate in gates))
        rotate_ring(ring, timedelta(0))

        async def taken_up() -> bool:
            return encryption_at(place).keys.encrypting.id.decode() != old

        await eventually(taken_up, "the new key encrypts")
        for gate in gates:
            gate.open()
        assert [await order.ends() for order in orders] == [COMPLETED] * len(orders)
    for order in orders:
        assert keys_of(await history_of(order)) == {old, newest(ring)}
        assert await task_failures(order) == 0


@pytest.mark.thorough
async def test_a_worker_without_the_key_leaves_the_saga_to_one_that_has_it(
    world: World, tmp_path: Path
) -> None:
    """Nothing is refused and nothing is taken back: the task fails, and is tried again."""
    ring, other = a_ring(tmp_path), a_ring(tmp_path, "other.json")
    place = beside(world, ring)
    order: Ordered = await place.an_order()
    await order.starts()
    keyless = with_ring(place, other)

    async def was_tried() -> bool:
        return await task_failures(order) > 0

    async with keyless.at_work():
        await eventually(was_tried, "a worker without the key tried")
    async with place.at_work():
        assert await order.ends() == COMPLETED
    assert (await order.handle.result()).ending == "completed"


@pytest.mark.thorough
async def test_a_key_that_arrives_is_used_at_once(world: World, tmp_path: Path) -> None:
    ring, other = a_ring(tmp_path), a_ring(tmp_path, "other.json")
    place = beside(world, ring)
    order = await place.an_order()
    await order.starts()
    keyless = with_ring(place, other)

    async def was_tried() -> bool:
        return await task_failures(order) > 0

    async with keyless.at_work():
        await eventually(was_tried, "a worker without the key tried")
        ring.replace(other)
        assert await order.ends() == COMPLETED


async def test_a_step_whose_worker_lags_behind_a_rotation_goes_to_one_that_has_the_key(
    world: World, tmp_path: Path
) -> None:
    """A worker of one context has not got the new file yet: nothing is refused or taken back."""
    ring, old = a_ring(tmp_path), tmp_path / "old.json"
    shutil.copy(ring, old)
    rotate_ring(ring, timedelta(0))
    place = beside(world, ring)
    lagging = with_ring(place, old)
    activities = place.activities()
    others = [context for context in activities if context != "credit"]
    async with AsyncExitStack() as stack:
        for at, contexts in ((place, others), (lagging, ["credit"])):
            for worker in workers(
                at.client,
                activities,
                contexts,
                queue_prefix=place.queue_prefix,
                shutdown=timedelta(0),
                workflows=place.workflows,
            ):
                await stack.enter_async_context(worker)
        order = await place.an_order("queues", deadline=2)
        await order.starts()
        assert await order.ends() == COMPLETED
    assert (await order.handle.result()).ending == "completed"
    lacked = [
        one.activity_task_failed_event_attributes.failure.application_failure_info.type
        for one in (await history_of(order)).events
        if one.HasField("activity_task_failed_event_attributes")
    ]
    assert lacked
    assert set(lacked) == {"UnknownPayloadKey"}
