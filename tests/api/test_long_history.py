"""A merchant with 300,000 events: a point-in-time read takes its time, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import httpx
import pytest
import structlog

from handrail.settings import Settings
from tests.api.conftest import API, House
from tests.api.shop import Shop, eventually, problem
from tests.projections.long_history import a_merchant_with

EVENTS = 300_000
MEGABYTE = 1024 * 1024
FAST = 0.025  # seconds: twice next to nothing is still next to nothing

_log = structlog.get_logger(__name__)
pytestmark = pytest.mark.journey


@dataclass
class Others:
    """Those who ask for something else meanwhile, and how long each answer took."""

    took: list[float] = field(default_factory=list)

    async def ask(self, api: httpx.AsyncClient, path: str, until: asyncio.Event) -> None:
        while not until.is_set():
            began = perf_counter()
            assert (await api.get(path)).status_code == 200
            self.took.append(perf_counter() - began)

    @property
    def p95(self) -> float:
        return sorted(self.took)[int(0.95 * len(self.took))]


@asynccontextmanager
async def a_process(house: House, folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """An API process of its own, and its number."""
    settings = Settings(
        database_url=house.database,
        database_role=API,
        temporal_address=house.temporal.service_client.config.target_host,
        api_port=0,
        auth="development",
    )
    file = folder / "ready"
    environment = {**os.environ, **settings.environment(), "HANDRAIL_READY_FILE": str(file)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "handrail.cli.main", "api", env=environment
    )

    async def address() -> str | None:
        return file.read_text() if file.exists() else None

    try:
        url = await eventually(address, "the process is ready")
        async with httpx.AsyncClient(base_url=url, timeout=30) as api:
            yield api, process.pid
    finally:
        process.terminate()
        await process.wait()


def memory_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [peak] = [line for line in lines if line.startswith("VmHWM")]
    return int(peak.split()[1]) * 1024


async def projected(house: House, merchant: str) -> None:
    """The projector, which shares this process with the clients, has nothing to do any more."""
    async with asyncio.timeout(300):
        while not await house.sql(  # noqa: ASYNC110  # the condition lies in the database
            "SELECT FROM merchant_balance WHERE merchant = %s AND orders = %s", merchant, EVENTS - 1
        ):
            await asyncio.sleep(0.2)


async def others_for(api: httpx.AsyncClient, path: str, work: asyncio.Task[None]) -> Others:
    others, done = Others(), asyncio.Event()
    asking = [asyncio.create_task(others.ask(api, one, done)) for one in (path, path, "/healthz")]
    await work
    done.set()
    await asyncio.gather(*asking)
    return others


async def test_a_long_history_is_folded_beside_everything_else(
    house: House, shop: Shop, tmp_path: Path
) -> None:
    merchant = await a_merchant_with(house.database, EVENTS, f"long-{uuid4().hex[:8]}")
    moment = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    path, short = f"/merchants/{merchant}/balance", f"/customers/{shop.customer}"
    answers: list[httpx.Response] = []
    await projected(house, merchant)

    async with a_process(house, tmp_path) as (api, pid):

        async def ask_until_answered() -> None:
            while not answers or answers[-1].status_code != httpx.codes.OK:
                answers.append(await api.get(path, params={"as_of": moment}))

        await api.get(short, headers={"Handrail-Token": shop.token})
        alone = await others_for(api, short, asyncio.create_task(asyncio.sleep(5)))
        before = memory_of(pid)
        beside = await others_for(api, short, asyncio.create_task(ask_until_answered()))
        more = memory_of(pid) - before

    said = f"p95 {alone.p95 * 1000:.1f} ms alone, {beside.p95 * 1000:.1f} ms beside"
    said += f"; {len(answers)} requests, {more / MEGABYTE:.1f} MB more"
    _log.info(said)
    *refused, answered = answers
    assert answered.json()["orders"] == EVENTS - 1
    for one in refused:
        problem(one, 503, "history-too-long")
    assert beside.p95 <= max(2 * alone.p95, FAST)
    assert more < 50 * MEGABYTE
