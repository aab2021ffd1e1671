"""`handrail payouts`, as an operator types it, against a real Temporal and a real API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.supervisor import free_port
from runtime import payout_schedule
from runtime.payout_schedule import Stands
from tests.api import conftest as served
from tests.api.conftest import House
from tests.api.shop import eventually, read
from tests.runtime.conftest import Spawn

pytestmark = pytest.mark.journey

house = served.house
Settings = dict[str, str]
BECAUSE = ("--reason", "looks wrong", "--actor", "officer")


@pytest.fixture
async def at(house: House, temporal: WorkflowEnvironment) -> AsyncIterator[Settings]:
    """Where there is no schedule of payouts, and afterwards there is none again."""
    address = temporal.client.service_client.config.target_host
    yield {"temporal_address": address, "task_queue_prefix": house.queue_prefix}
    await house.temporal.get_schedule_handle(f"{house.queue_prefix}pay-merchants").delete()


async def typed(handrail: Spawn, *arguments: str, **settings: str) -> tuple[int | None, str, str]:
    process = await handrail("payouts", *arguments, **settings)
    out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()


async def stands(house: House) -> Stands:
    found = await payout_schedule.stands(house.temporal, house.queue_prefix)
    assert found is not None
    return found


async def test_a_schedule_is_made_changed_paused_and_resumed(
    house: House, handrail: Spawn, at: Settings
) -> None:
    code, _, error = await typed(handrail, "pause", *BECAUSE, **at)
    assert (code, "no schedule" in error) == (1, True)

    code, out, error = await typed(handrail, "schedule", "--cron", "0 3 * * *", **at)
    assert code == 0, error
    first = (await stands(house)).next_at[0]
    assert (first.hour, first.minute) == (3, 0)
    assert f"{first:%Y-%m-%d %H:%M}" in out

    code, out, _ = await typed(handrail, "pause", *BECAUSE, **at)
    assert (code, "officer: looks wrong" in out) == (0, True)
    await typed(handrail, "schedule", "--cron", "30 4 * * *", **at)
    changed = await stands(house)
    assert (changed.paused, changed.next_at[0].hour) == (True, 4)

    assert (await typed(handrail, "resume", *BECAUSE, **at))[0] == 0
    assert not (await stands(house)).paused

    code, _, error = await typed(handrail, "schedule", "--cron", "sometimes", **at)
    assert (code, "Traceback" in error) == (1, False)
    assert (await stands(house)).next_at[0].hour == 4


async def test_a_run_that_the_schedule_began_is_found_by_its_time(
    house: House, handrail: Spawn, at: Settings
) -> None:
    await typed(handrail, "schedule", "--minimum", "999999999999", **at)
    await house.temporal.get_schedule_handle(f"{house.queue_prefix}pay-merchants").trigger()

    async def last_run() -> str | None:
        return next(iter((await stands(house)).runs), None)

    run = await eventually(last_run, "a run of the schedule")
    _, out, _ = await typed(handrail, "status", **at)
    assert run in out
    async with house.api() as api:
        await read(api, f"/payouts/{run}", lambda found: found["status"] == "ended")


async def test_a_run_is_begun_by_hand_and_looked_at(house: House, handrail: Spawn) -> None:
    async with house.api() as api:
        there = {"api_url": str(api.base_url)}
        wish = ("run", "--minimum", "999999999999", "--json")
        code, out, error = await typed(handrail, *wish, **there)
        assert code == 0, error
        run = json.loads(out.splitlines()[-1])["run"]
        assert run == f"{datetime.now(UTC):%Y-%m-%d}"
        code, out, error = await typed(handrail, "status", run, "--json", **there)
        assert code == 0, error
        shown: dict[str, Any] = json.loads(out.splitlines()[-1])
        assert (shown["run"], shown["paid"]) == (run, 0)


async def test_without_a_temporal_it_says_where_it_looked(handrail: Spawn) -> None:
    address = f"127.0.0.1:{free_port()}"
    code, _, error = await typed(handrail, "status", temporal_address=address)
    assert (code, address in error, "Traceback" in error) == (1, True, False)
