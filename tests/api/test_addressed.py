"""An address reaches the processes it is about, and no other workflow that has such an id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio import workflow
from temporalio.client import WorkflowHandle
from temporalio.common import RawValue
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from handrail.http import temporal_errors as reaching
from tests.api.conftest import House
from tests.api.shop import Shop, a_key, eventually, place, problem
from tests.api.test_interventions import UNDELIVERABLE, onboarding, parked, told

WHY: dict[str, Any] = {"reason": "a test"}
SOON = (datetime.now(UTC).date() + timedelta(days=60)).isoformat()


@workflow.defn(name="Stranger", sandboxed=False)
class Stranger:
    """A workflow of somebody else in the same namespace, which does whatever it is told."""

    def __init__(self) -> None:
        self._told: list[str] = []

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update(dynamic=True)
    def anything(self, name: str, _arguments: Sequence[RawValue]) -> None:
        self._told.append(name)

    @workflow.signal(dynamic=True)
    def any_signal(self, name: str, _arguments: Sequence[RawValue]) -> None:
        self._told.append(name)

    @workflow.query
    def told(self) -> list[str]:
        return self._told


@asynccontextmanager
async def a_stranger(house: House, id_: str) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    queue = f"stranger-{id_}"
    async with Worker(
        house.temporal,
        task_queue=queue,
        workflows=[Stranger],
        workflow_runner=UnsandboxedWorkflowRunner(),
        graceful_shutdown_timeout=timedelta(0),
    ):
        handle = await house.temporal.start_workflow(Stranger.run, id=id_, task_queue=queue)
        yield handle
        await handle.terminate()


@pytest.mark.parametrize(
    ("prefix", "path", "body"),
    [
        ("", "/orders/{}/cancellation", WHY),
        ("", "/sagas/{}/cancellation", WHY),
        ("", "/sagas/{}/interventions", {**WHY, "id": "i", "kind": "retry"}),
        (
            "",
            "/sagas/{}/interventions",
            {**WHY, "id": "i", "kind": "correct", "correction": {"ship_to": "addr_ok"}},
        ),
        ("", "/sagas/{}/answers", {**WHY, "id": "a", "approved": True}),
        ("", "/sagas/{}/attempts", WHY),
        ("plan-", "/orders/{}/plan/settlement", {}),
        ("plan-", "/orders/{}/plan/reschedule", {"number": 1, "due": SOON}),
        ("intervention-", "/interventions/{}/stop", WHY),
    ],
)
async def test_a_workflow_of_another_kind_is_not_found_and_is_told_nothing(
    house: House, api: httpx.AsyncClient, prefix: str, path: str, body: dict[str, Any]
) -> None:
    name = f"other-{a_key()}"
    async with a_stranger(house, f"{prefix}{name}") as stranger:
        answer = await api.post(path.format(name), json=body)
        assert await stranger.query(Stranger.told) == []
    problem(answer, 404, "not-found")


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("", "/orders/{}"),
        ("", "/sagas/{}"),
        ("intervention-", "/interventions/{}"),
        ("intervention-", "/interventions/{}/items"),
    ],
)
async def test_a_workflow_of_another_kind_is_not_shown(
    house: House, api: httpx.AsyncClient, prefix: str, path: str
) -> None:
    name = f"other-{a_key()}"
    async with a_stranger(house, f"{prefix}{name}"):
        problem(await api.get(path.format(name)), 404, "not-found")


@pytest.mark.parametrize("word", ["pause", "resume"])
async def test_no_run_of_payouts_is_seen_in_a_workflow_of_another_kind(
    house: House, api: httpx.AsyncClient, word: str
) -> None:
    async with a_stranger(house, f"{house.queue_prefix}pay-merchants-1999-01-02") as stranger:
        problem(await api.get("/payouts/1999-01-02"), 404, "not-found")
        problem(await api.post(f"/payouts/1999-01-02/{word}", json=WHY), 404, "not-found")
        assert await stranger.query(Stranger.told) == []


async def test_the_address_of_orders_cancels_no_other_saga(
    house: House, api: httpx.AsyncClient
) -> None:
    saga = await onboarding(house, api)
    problem(await api.post(f"/orders/{saga}/cancellation", json=WHY), 404, "not-found")
    assert (await api.get(f"/sagas/{saga}")).json()["status"] == "awaiting"
    assert await told(house, saga, "CancelRequested") == []


async def test_an_intervention_called_cancel_stands_for_no_cancellation(
    impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    retry = {**WHY, "id": "cancel", "kind": "retry"}
    assert (await impatient.post(f"/sagas/{saga}/interventions", json=retry)).status_code == 202
    answer = await impatient.post(f"/orders/{saga}/cancellation", json=WHY)
    problem(answer, 409, "too-late")


async def test_an_answer_is_no_repeated_intervention_of_the_same_id(
    impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    retry = {**WHY, "id": "7", "kind": "retry"}
    assert (await impatient.post(f"/sagas/{saga}/interventions", json=retry)).status_code == 202
    yes = {**WHY, "id": "7", "approved": True}
    problem(await impatient.post(f"/sagas/{saga}/answers", json=yes), 409, "not-parked")


async def test_what_got_no_answer_in_time_may_be_taken_and_the_problem_says_so(
    house: House, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "RPC", timedelta(seconds=1))
    async with house.api(queue_prefix="nobody-there.") as api:
        saga = (await place(api, shop, wait=None)).json()["saga"]
        answers = await asyncio.gather(
            api.post(f"/orders/{saga}/cancellation", json=WHY),
            api.post(f"/sagas/{saga}/interventions", json={**WHY, "id": "i", "kind": "retry"}),
        )
    for answer in answers:
        assert "may still be taken" in problem(answer, 503, "worker-unavailable")["detail"]
    await house.temporal.get_workflow_handle(saga).terminate()


@workflow.defn(name="Checkout", sandboxed=False)
class Undecided:
    """A checkout whose store has not yet decided on the cancellation that it was told of."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def cancel(self, _wish: Any) -> None:
        self._told = True
        await workflow.wait_condition(lambda: False)

    @workflow.query
    def is_told(self) -> bool:
        return self._told


async def test_a_saga_that_is_terminated_before_it_has_answered_has_ended(
    house: House, api: httpx.AsyncClient
) -> None:
    order = f"undecided-{a_key()}"
    async with Worker(
        house.temporal,
        task_queue=order,
        workflows=[Undecided],
        workflow_runner=UnsandboxedWorkflowRunner(),
        graceful_shutdown_timeout=timedelta(0),
    ):
        handle = await house.temporal.start_workflow(Undecided.run, id=order, task_queue=order)
        asked = asyncio.create_task(api.post(f"/orders/{order}/cancellation", json=WHY))

        async def told() -> bool:
            return await handle.query(Undecided.is_told)

        await eventually(told, "it is told")
        await handle.terminate()
        answer = await asked
    # What became of the order is asked next, and there is none.
    problem(answer, 409, "saga-ended")
