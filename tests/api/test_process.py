"""The API as a process: it begins whatever is missing, and ends when it is told to."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from handrail.processes.api import run
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.api.conftest import API, House
from tests.api.shop import eventually, problem


async def test_it_serves_until_it_is_told_to_stop(house: House, tmp_path: Path) -> None:
    await check(tmp_path, house.database, ready=True, temporal=address_of(house))


async def test_it_starts_without_postgres_and_temporal(tmp_path: Path) -> None:
    nowhere = "127.0.0.1:9"
    await check(tmp_path, f"postgresql://any:any@{nowhere}/any", ready=False, temporal=nowhere)


def test_it_does_not_start_where_nothing_says_how_callers_sign_in(house: House) -> None:
    ended = ended_with(house, {})
    assert ended.returncode == 2
    said = "HANDRAIL_AUTH: is needed here: oidc, keys, or development on this machine only\n"
    assert ended.stderr == said


@pytest.mark.thorough
def test_it_does_not_believe_callers_of_other_machines(house: House) -> None:
    ended = ended_with(house, {"HANDRAIL_AUTH": "development", "HANDRAIL_API_HOST": "0.0.0.0"})
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("HANDRAIL_AUTH: development lets every caller do everything")


def ended_with(house: House, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    own = {
        "HANDRAIL_DATABASE_URL": house.database,
        "HANDRAIL_TEMPORAL_ADDRESS": address_of(house),
        "HANDRAIL_API_PORT": "0",
    }
    clean = {name: one for name, one in os.environ.items() if not name.startswith("HANDRAIL_")}
    return subprocess.run(
        [sys.executable, "-m", "handrail.cli.main", "api"],
        env=clean | own | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def check(folder: Path, database: str, *, ready: bool, temporal: str) -> None:
    file = folder / "ready"
    settings = ShopSettings(
        database_url=database,
        database_role=API,
        temporal_address=temporal,
        api_port=0,
        auth="development",
        ready_file=file,
    )
    stop = asyncio.Event()
    process = asyncio.create_task(run(HANDRAIL, settings, stop))

    async def address() -> str | None:
        assert not process.done(), process
        return file.read_text() if file.exists() else None

    async with httpx.AsyncClient(base_url=await eventually(address, "ready")) as client:
        answer = await client.get("/readyz")
        if ready:
            assert answer.status_code == 200, answer.text
        else:
            problem(answer, 503, "not-ready")
    stop.set()
    await asyncio.wait_for(process, 10)


def address_of(house: House) -> str:
    return house.temporal.service_client.config.target_host
