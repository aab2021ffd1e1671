"""After a demo a real Prometheus has something to show on every panel, and shows every metric."""

from __future__ import annotations

import math
import shutil
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import yaml
from rich.console import Console

from handrail.dev.rabbitmq import is_installed
from handrail.dev.stack import Stack
from handrail.dev.supervisor import Child, Service, free_port
from runtime.app import HANDRAIL
from runtime.dashboards import DASHBOARDS
from runtime.demo import scenario
from runtime.demo.customers import drive
from runtime.settings import ShopSettings
from tests.journeys.calls import post
from tests.projections.world import until
from tests.runtime.asked_of_prometheus import family, metrics_of
from tests.runtime.test_alerts import RULES
from tests.unencrypted import a_client
from tests.webhook_endpoints.receiver import receiving

PROGRAM = shutil.which("prometheus")
pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(
        PROGRAM is None or not is_installed(),
        reason="NOT TESTED: prometheus or rabbitmq-server is not installed (apt-get install them)",
    ),
]
PORT = 21_700
KINDS = (
    "worker",
    "projector",
    "notifier",
    "dispatcher",
    "relay",
    *(f"consumer-{one.name}" for one in HANDRAIL.consumers),
)
FED_FROM_THE_STORE = {"handrail_consumer_events_read", "handrail_consumer_checkpoints_held"}
"""What consumers serve where there is no broker."""


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    settings = ShopSettings(
        data_dir=tmp_path_factory.mktemp("shown"),
        api_port=0,
        metrics_port=PORT,
        step_deadline_seconds=5,
        step_patience_seconds=5,
        lake_seconds=2,
    )
    async with Stack(
        HANDRAIL,
        settings,
        notifiers=1,
        dispatchers=1,
        consumers=True,
        broker=True,
        temporal_ui=False,
    ) as stack:
        yield stack


@pytest.fixture(scope="module")
async def lake(stack: Stack) -> AsyncIterator[int]:
    """An exporter beside it; the port of its metrics."""
    port = PORT + len(KINDS)
    settings = stack.settings.known_to("lake", login="lake")
    settings = settings.model_copy(update={"metrics_port": port})
    exporter = Service(
        "lake", ["lake", "export"], folder=stack.data_dir, environment=settings.environment()
    )
    await exporter.start()
    yield port
    await exporter.stop()


@pytest.fixture(scope="module")
async def prometheus(
    stack: Stack, lake: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    targets = {"api": stack.api_url.removeprefix("http://"), "lake": f"127.0.0.1:{lake}"}
    targets |= {kind: f"127.0.0.1:{PORT + nth}" for nth, kind in enumerate(KINDS)}
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]}
            for job, target in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    server = Child(
        "prometheus",
        [
            str(PROGRAM),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        log=folder / "prometheus.log",
    )
    server.spawn()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        await server.ready(lambda: _answers(client), 60)
        yield client
    await server.stop()


async def test_no_panel_is_empty_after_a_demo_and_every_metric_is_shown(
    stack: Stack, prometheus: httpx.AsyncClient
) -> None:
    await until(lambda: _all_up(prometheus), seconds=60)
    plan = scenario.make(orders=40, merchants=4, faults=0.4, seed=7, prefix="shown-")
    async with receiving() as merchant:
        await _registered(stack, plan.merchants[0].id, merchant.url)
        await drive(stack.api_url, stack.database_url, plan, Console(stderr=True))
        await _let_one_go_on(stack)
        await _everything_is_shown(prometheus)


async def _everything_is_shown(prometheus: httpx.AsyncClient) -> None:
    empty: list[str] = []

    async def all_show_something() -> bool:
        empty[:] = [
            f"{board.uid}: {query}"
            for board in DASHBOARDS
            for query in board.queries()
            if not metrics_of(query) <= FED_FROM_THE_STORE and not await _shown(prometheus, query)
        ]
        return not empty

    try:
        await until(all_show_something, seconds=60)
    except TimeoutError:
        assert empty == []

    names = (await prometheus.get("/api/v1/label/__name__/values")).json()["data"]
    served = {family(name) for name in names if name.startswith("handrail_")}
    queries = [one for board in DASHBOARDS for one in board.queries()]
    asked = {m for one in (*queries, *(rule["expr"] for rule in RULES)) for m in metrics_of(one)}
    assert served - {family(one) for one in asked} == set()
    assert {family(one) for one in asked} - {family(name) for name in names} == FED_FROM_THE_STORE


async def _registered(stack: Stack, merchant: str, url: str) -> None:
    """The merchant has everything sent there that may be sent."""
    async with a_client(stack.api_url, timeout=60) as api:
        offered = (await api.get("/webhook-events")).raise_for_status().json()["events"]
        await post(api, "/webhook-endpoints", {"merchant": merchant, "url": url, "events": offered})


async def _let_one_go_on(stack: Stack) -> None:
    """What a person does with a parked saga."""
    async with a_client(stack.api_url, timeout=60) as api:
        parked = (await api.get("/sagas", params={"status": "parked"})).json()["items"]
        wish = {"id": "tried-again", "kind": "retry", "actor": "ann", "reason": "it is back"}
        await post(api, f"/sagas/{parked[0]['saga']}/interventions", wish)


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).is_success
    except httpx.TransportError:
        return False


async def _query(client: httpx.AsyncClient, expression: str) -> list[Any]:
    answer = await client.get("/api/v1/query", params={"query": expression})
    found: list[Any] = answer.raise_for_status().json()["data"]["result"]
    return found


async def _shown(client: httpx.AsyncClient, expression: str) -> list[float]:
    values = [float(one["value"][1]) for one in await _query(client, expression)]
    return [one for one in values if not math.isnan(one)]


async def _all_up(client: httpx.AsyncClient) -> bool:
    found = await _query(client, "up")
    return len(found) == len(KINDS) + 2 and all(one["value"][1] == "1" for one in found)
