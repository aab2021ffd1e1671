"""A checkout is one trace over all processes, also where a worker is killed in the middle of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from handrail.dev.rabbitmq import is_installed
from handrail.dev.stack import Stack
from runtime.app import HANDRAIL
from runtime.demo import scenario
from runtime.demo.customers import drive
from runtime.settings import ShopSettings
from tests.api.shop import open_shop, place
from tests.projections.world import until
from tests.tracing.collector import Collected, Collector, collecting
from tests.unencrypted import a_client

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(
        not is_installed() and os.environ.get("REQUIRE_BROKER") != "1",
        reason="NOT TESTED: rabbitmq-server is not installed (apt-get install it)",
    ),
]
SECRET = "Elfriede-Unspan"
PATIENCE = 60
ORDERS = int(os.environ.get("TRACED_ORDERS") or 200)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector, pytest.MonkeyPatch.context() as patched:
        patched.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        patched.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield collector


@pytest.fixture(scope="module")
async def stack(
    collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("traced")
    settings = ShopSettings(data_dir=folder, api_port=0, log_format="json")
    async with Stack(
        HANDRAIL, settings, notifiers=1, consumers=True, broker=True, temporal_ui=False
    ) as stack:
        yield stack


async def test_it_is_one_trace_without_orphans_though_a_worker_was_killed(
    stack: Stack, collector: Collector
) -> None:
    async with a_client(stack.api_url, timeout=60) as api:
        shop = await open_shop(api)
        contact = {
            "language": "en",
            "time_zone": "UTC",
            "quiet_hours": None,
            "addresses": {"push": None, "sms": None, "email": f"{SECRET}@example.org"},
        }
        (await api.put(f"/customers/{shop.customer}/contact", json=contact)).raise_for_status()
        placed = await place(api, shop, wait=None, card="card_slow")
        saga = placed.json()["saga"]
        [worker] = stack.workers
        await until(lambda: _has(stack, saga, "SagaStarted"), seconds=PATIENCE)
        await worker.kill()
        await worker.start()
        await until(lambda: _has(stack, saga, "SagaEnded"), seconds=PATIENCE)
        trace = await _trace_of(stack, saga)
        try:
            await until(lambda: _is_whole(collector, trace), seconds=PATIENCE)
        finally:
            print(f"\n{collector.tree(trace)}")  # noqa: T201  # it is what the test shows
        shown = await api.get(f"/streams/saga-{saga}")

    spans = collector.trace_of(trace)
    assert [one for one in collector.orphans() if one.trace == trace] == []
    assert [one.name for one in spans if not one.parent] == ["POST /orders"]
    assert len(spans) >= 25
    assert len(_processes(collector, trace)) >= 6
    assert {event["metadata"]["traceparent"].split("-")[1] for event in shown.json()["items"]} == {
        trace
    }
    assert not any(SECRET.encode() in body for body in collector.raw)
    assert not any(one.events for one in collector.spans)


async def test_of_hundreds_of_orders_none_has_an_orphan_though_a_worker_was_killed(
    stack: Stack, collector: Collector
) -> None:
    plan = scenario.make(orders=ORDERS, merchants=4, faults=0.1, seed=3, prefix="traced-")

    async def kill_a_worker() -> None:
        [worker] = stack.workers
        await worker.kill()
        await worker.start()

    await drive(
        stack.api_url, stack.database_url, plan, Console(stderr=True), meanwhile=kill_a_worker
    )

    async def none_is_left() -> bool:
        return not collector.orphans()

    try:
        await until(none_is_left, seconds=PATIENCE)
    except TimeoutError:
        assert {one.trace for one in collector.orphans()} == set()
    orders = {one.trace for one in collector.spans if one.name == "StartWorkflow:Checkout"}
    print(f"{len(orders)} orders, each one trace, of {len(collector.spans)} spans: no orphan")  # noqa: T201  # for `pytest -s`
    assert len(orders) >= ORDERS


def _processes(collector: Collector, trace: str) -> set[str]:
    return {one.process for one in (*collector.trace_of(trace), *collector.linked_to(trace))}


async def _is_whole(collector: Collector, trace: str) -> bool:
    names = {one.name.partition(" ")[0].partition(":")[0] for one in collector.trace_of(trace)}
    linked: list[Collected] = collector.linked_to(trace)
    wanted = {"POST", "StartWorkflow", "RunWorkflow", "RunActivity", "decide", "append"}
    wanted |= {"outbox", "publish", "consume", "handle", "notify"}
    return wanted <= names and bool(linked)


async def _has(stack: Stack, saga: str, type_: str) -> bool:
    async with await psycopg.AsyncConnection.connect(stack.database_url) as connection:
        found = await connection.execute(
            "SELECT FROM events WHERE stream = %s AND type = %s", (f"saga-{saga}", type_)
        )
        return found.rowcount > 0


async def _trace_of(stack: Stack, saga: str) -> str:
    async with await psycopg.AsyncConnection.connect(stack.database_url) as connection:
        found = await connection.execute(
            "SELECT DISTINCT split_part(metadata ->> 'traceparent', '-', 2) FROM events"
            " WHERE stream = %s",
            (f"saga-{saga}",),
        )
        [(trace,)] = await found.fetchall()
        return str(trace)
