from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from domain.settlement.events import MerchantAccountOpened
from handrail.cli.projection_commands import build_anew, status, work_off
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.projections.install import install
from handrail.projections.projector import Runner
from handrail.settings import Settings
from runtime.app import HANDRAIL
from tests.controls import a_merchant

MERCHANT = a_merchant()
OPENED = MerchantAccountOpened(merchant=MERCHANT, currency="EUR", fee_bps=290)


@pytest.fixture
async def settings(database: str) -> AsyncIterator[Settings]:
    """A database with one merchant, and a projector at work on it."""
    install(database, "handrail_app", HANDRAIL.read_models)
    async with open_pool(database, role="handrail_app") as pool:
        await EventStore(pool, HANDRAIL.codec).append([(f"merchant-{MERCHANT}", 0, [OPENED])])
        stop = asyncio.Event()
        runner = Runner(pool, HANDRAIL.read_models, HANDRAIL.codec, poll=0.005)
        running = asyncio.create_task(runner.run(stop))
        await runner.reading.wait()
        yield Settings(database_url=database)
        stop.set()
        await running


async def _rows(settings: Settings) -> int:
    async with await psycopg.AsyncConnection.connect(str(settings.database_url)) as connection:
        found = await connection.execute("SELECT count(*) FROM merchant_balance")
        [count] = await found.fetchone() or [0]
        return int(count)


@pytest.mark.thorough
async def test_a_read_model_is_built_anew_while_a_projector_runs(settings: Settings) -> None:
    async with await psycopg.AsyncConnection.connect(str(settings.database_url)) as connection:
        await connection.execute("DELETE FROM merchant_balance")

    assert await build_anew(settings, ["merchant_balance"]) == 0
    assert await _rows(settings) == 1


@pytest.mark.thorough
async def test_without_a_name_all_of_them_are_built_anew(settings: Settings) -> None:
    async def tables() -> set[tuple[object, ...]]:
        async with await psycopg.AsyncConnection.connect(str(settings.database_url)) as connection:
            found = await connection.execute("SELECT name, to_regclass(name)::oid FROM read_models")
            return set(await found.fetchall())

    before = await tables()

    assert await build_anew(settings, []) == 0

    after = await tables()
    assert {name for name, _ in after} == {one.name for one in HANDRAIL.read_models}
    assert before.isdisjoint(after)
    assert await _rows(settings) == 1


async def test_an_unknown_read_model_is_not_built(settings: Settings) -> None:
    assert await build_anew(settings, ["weather"]) == 1


async def test_the_status_tells_a_script_whether_something_waits_for_a_person(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await status(settings, json=True) == 0

    async with await psycopg.AsyncConnection.connect(str(settings.database_url)) as connection:
        await connection.execute(
            "INSERT INTO parked_events (projection, stream, position, cause)"
            " VALUES ('merchant_balance', %s, 1, 'it was tried out')",
            (f"merchant-{MERCHANT}",),
        )

    assert await status(settings, json=True) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"handrail projections retry merchant_balance merchant-{MERCHANT}" in said
    assert await work_off(settings, "merchant_balance", f"merchant-{MERCHANT}") == 0
    assert await status(settings, json=True) == 0


async def test_an_unknown_read_model_has_nothing_to_retry(settings: Settings) -> None:
    assert await work_off(settings, "weather", "merchant-m1") == 1
