"""PostgreSQL, Temporal or the workers are away: an answer within seconds, and never a hang."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from handrail.database_engine import open_engine
from handrail.dev.postgres import EmbeddedPostgres
from handrail.http import temporal_errors as reaching
from handrail.http import temporal_gateway as processes
from handrail.http.database import Database
from handrail.http.problems import Problem
from handrail.http.tenant_limit import TenantLimit
from handrail.processes.api import lazy_client
from runtime.app import HANDRAIL
from tests.api.conftest import House
from tests.api.shop import Shop, a_key, eventually, place, problem
from tests.controls import NOON, a_customer

SOON = 12.0  # seconds: several bounded looks, one after the other, on a slow machine


@contextmanager
def nobody_listens() -> Iterator[int]:
    """A port that refuses, and that nobody else can get meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def nobody_answers() -> Iterator[int]:
    """A port that accepts and is silent, as a stopped server is."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]


@pytest.fixture(params=[nobody_listens, nobody_answers], ids=lambda one: one.__name__)
def away(request: pytest.FixtureRequest) -> Iterator[int]:
    with request.param() as port:
        yield port


@pytest.fixture
async def no_postgres(away: int) -> AsyncIterator[AsyncEngine]:
    async with open_engine(f"postgresql://any:any@127.0.0.1:{away}/any") as engine:
        yield engine


@pytest.fixture
async def no_temporal(away: int) -> Client:
    return await lazy_client(f"127.0.0.1:{away}", "default", HANDRAIL.codec)


@pytest.mark.thorough
async def test_without_postgres(house: House, shop: Shop, no_postgres: AsyncEngine) -> None:
    asked = time.monotonic()
    async with house.api(engine=no_postgres) as api:
        answers = await asyncio.gather(
            *(
                api.get(path)
                for path in (
                    "/orders",
                    "/sagas",
                    "/sagas/any",
                    "/sagas/any/events",
                    f"/customers/{shop.customer}",
                    f"/merchants/{shop.merchant}/stock",
                    "/streams/order-1",
                )
            ),
            place(api, shop),
        )
        ready = await api.get("/readyz")
        alive = await api.get("/healthz")
        metrics = await api.get("/metrics")
    assert time.monotonic() - asked < SOON
    for answer in answers:
        problem(answer, 503, "database-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    found = problem(ready, 503, "not-ready")
    assert {"postgres", "migrations"} <= {one["parameter"] for one in found["errors"]}
    assert "temporal" not in {one["parameter"] for one in found["errors"]}
    assert alive.status_code == 200
    assert "handrail_database_up 0.0" in metrics.text


@pytest.mark.thorough
async def test_requests_that_wait_for_each_other_wait_no_longer_for_it(
    no_postgres: AsyncEngine,
) -> None:
    places, asked = (
        TenantLimit(Database(no_postgres), 1, HANDRAIL.saga_board.table, HANDRAIL.tenant),
        time.monotonic(),
    )

    async def take(saga: str) -> None:
        async with places.held("one merchant", saga):
            pass

    answers = await asyncio.gather(*(take(f"{one}") for one in range(8)), return_exceptions=True)
    assert time.monotonic() - asked < SOON
    assert [str(one) for one in answers if not isinstance(one, Problem)] == []


@pytest.mark.thorough
async def test_without_temporal(
    house: House, api: httpx.AsyncClient, shop: Shop, no_temporal: Client
) -> None:
    asked = time.monotonic()
    async with house.api(temporal=no_temporal) as cut_off:
        limit = {"limit": {"amount": 1, "currency": "EUR"}}
        answers = await asyncio.gather(
            place(cut_off, shop, wait=None),
            place(cut_off, shop, wait=1),
            cut_off.put("/customers/any/limit", json=limit),
            cut_off.post("/orders/any/cancellation", json={"reason": "none"}),
            cut_off.post(
                "/sagas/any/interventions", json={"id": "i", "kind": "retry", "reason": "none"}
            ),
            cut_off.get("/sagas/nothing"),
        )
        ready = await cut_off.get("/readyz")
        read = await cut_off.get(
            f"/customers/{shop.customer}", headers={"Handrail-Token": shop.token}
        )
    assert time.monotonic() - asked < SOON
    for answer in answers:
        problem(answer, 503, "temporal-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    found = problem(ready, 503, "not-ready")
    assert [one["parameter"] for one in found["errors"]] == ["temporal"]
    assert read.status_code == 200, "read models are read without Temporal"


async def test_a_request_that_failed_for_want_of_temporal_may_be_repeated_at_once(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    key = {"Idempotency-Key": a_key(), "Handrail-Token": shop.token}
    with nobody_listens() as port:
        cut_off = await lazy_client(f"127.0.0.1:{port}", "default", HANDRAIL.codec)
        async with house.api(temporal=cut_off) as broken:
            problem(
                await broken.post("/orders", json=shop.order(), headers=key),
                503,
                "temporal-unavailable",
            )
    again = await api.post("/orders", json=shop.order(), headers=key)
    assert again.status_code == 202
    assert "Idempotent-Replayed" not in again.headers


async def test_without_workers_an_order_is_accepted_and_a_command_is_not_done(
    house: House, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_COMMAND", timedelta(seconds=1))
    monkeypatch.setattr(reaching, "RPC", timedelta(seconds=1))
    async with house.api(queue_prefix="nobody.") as api:
        order = await place(api, shop, wait=1)
        assert order.status_code == 202
        saga = order.json()["saga"]
        found = await api.get(f"/sagas/{saga}")
        assert (found.status_code, found.json()["status"]) == (200, "starting")
        assert found.json()["merchant"] == shop.merchant
        not_yet = problem(await api.get(f"/orders/{saga}"), 503, "read-model-behind")
        assert "not placed yet" in not_yet["detail"]
        limit = {"limit": {"amount": 1, "currency": "EUR"}}
        cancel, put = await asyncio.gather(
            api.post(f"/orders/{saga}/cancellation", json={"reason": "none"}),
            api.put("/customers/any/limit", json=limit),
        )
        problem(cancel, 503, "worker-unavailable")
        problem(put, 503, "worker-unavailable")
    await house.temporal.get_workflow_handle(saga).terminate()


@workflow.defn(name="Checkout", sandboxed=False)
class Mistaken:
    @workflow.run
    async def run(self) -> None:
        raise KeyError("a mistake in the code")


async def test_a_saga_whose_code_is_mistaken_takes_nothing_until_it_is_mended(
    house: House, api: httpx.AsyncClient
) -> None:
    queue, saga = "mistaken.sagas", f"ord-{a_key()}"
    async with Worker(house.temporal, task_queue=queue, workflows=[Mistaken]):
        # From the second time on, the SDK lets a task that fails run out of time.
        soon = timedelta(seconds=1)
        handle = await house.temporal.start_workflow(
            Mistaken.run, id=saga, task_queue=queue, task_timeout=soon
        )

        async def keeps_failing() -> bool:
            described = await handle.describe()
            return described.raw_description.pending_workflow_task.attempt >= 3

        await eventually(keeps_failing, "a workflow task that fails again and again")
        answers = await asyncio.gather(
            api.post(f"/orders/{saga}/cancellation", json={"reason": "none"}),
            api.post(
                f"/sagas/{saga}/interventions",
                json={"id": "i", "kind": "correct", "reason": "none", "correction": {"a": 1}},
            ),
        )
    for answer in answers:
        found = problem(answer, 503, "worker-unavailable")
        assert "its workflow task fails" in found["detail"]
        assert int(answer.headers["Retry-After"]) > 0
    await handle.terminate()


async def test_a_process_that_begins_while_it_is_told_something_has_not_ended(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporal did not know it when it was to be told, and does when it is asked about it."""

    async def begun(_: object, saga: str) -> reaching.Known:
        return reaching.Known(saga, "Plan", "m", running=True, started_at=NOON)

    monkeypatch.setattr(reaching, "known", begun)
    wish = {"number": 1, "due": str(datetime.now(UTC).date())}
    found = await api.post("/orders/just-begun/plan/reschedule", json=wish)
    assert "just begun" in problem(found, 503, "worker-unavailable")["detail"]


@pytest.mark.thorough
async def test_a_read_model_that_is_behind_says_so(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    customer = a_customer()
    limit = {"limit": {"amount": 1, "currency": "EUR"}}
    async with (
        await psycopg.AsyncConnection.connect(house.database) as connection,
        connection.transaction(),
    ):
        # Readers go on reading, and the projector has to wait.
        await connection.execute("LOCK TABLE customer_account IN SHARE MODE")
        assigned = await api.put(f"/customers/{customer}/limit", json=limit)
        token = {"Handrail-Token": assigned.headers["Handrail-Token"]}
        behind = await api.get(f"/customers/{customer}", headers={**token, "Prefer": "wait=1"})
        problem(behind, 503, "read-model-behind")
        assert int(behind.headers["Retry-After"]) > 0
        problem(await api.get(f"/customers/{customer}"), 404, "not-found")
        order = shop.order(customer=customer)
        headers = {**token, "Prefer": "wait=1", "Idempotency-Key": a_key()}
        problem(await api.post("/orders", json=order, headers=headers), 503, "read-model-behind")
    found = await api.get(f"/customers/{customer}", headers=token)
    assert found.status_code == 200
    assert (await api.post("/orders", json=order, headers=headers)).status_code in {200, 202}


async def test_without_read_models_a_read_says_so(postgres: EmbeddedPostgres, house: House) -> None:
    async with open_engine(postgres.url) as empty, house.api(engine=empty) as api:
        problem(await api.get("/sagas"), 503, "read-model-behind")
        found = problem(await api.get("/readyz"), 503, "not-ready")
    assert "migrations" in {one["parameter"] for one in found["errors"]}
