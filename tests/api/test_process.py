"""The API as a process: it begins whatever is missing, and ends when it is told to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from handrail.processes.api import run
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.api.conftest import API, House
from tests.api.shop import eventually, problem
from tests.commands import Ended, handrail, without_settings


async def test_it_serves_until_it_is_told_to_stop(house: House, tmp_path: Path) -> None:
    await check(tmp_path, house.database, ready=True, temporal=address_of(house))


async def test_it_starts_without_postgres_and_temporal(tmp_path: Path) -> None:
    nowhere = "127.0.0.1:9"
    await check(tmp_path, f"postgresql://any:any@{nowhere}/any", ready=False, temporal=nowhere)


async def test_it_does_not_start_where_nothing_says_how_callers_sign_in(house: House) -> None:
    ended = await ended_with(house, {})
    assert ended.code == 2
    said = "HANDRAIL_AUTH: is needed here: oidc, keys, or development on this machine only\n"
    assert ended.error == said


@pytest.mark.thorough
async def test_it_does_not_believe_callers_of_other_machines(house: House) -> None:
    variables = {"HANDRAIL_AUTH": "development", "HANDRAIL_API_HOST": "0.0.0.0"}
    ended = await ended_with(house, variables)
    assert ended.code == 2
    [line] = ended.error.splitlines()
    assert line.startswith("HANDRAIL_AUTH: development lets every caller do everything")


async def ended_with(house: House, variables: dict[str, str]) -> Ended:
    own = {
        "HANDRAIL_DATABASE_URL": house.database,
        "HANDRAIL_TEMPORAL_ADDRESS": address_of(house),
        "HANDRAIL_API_PORT": "0",
    }
    async with asyncio.timeout(60):
        return await handrail("api", environment=without_settings() | own | variables)


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
