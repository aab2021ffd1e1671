"""The process that wires it all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from handrail.dev.supervisor import free_port
from handrail.processes.projector import run
from handrail.settings import Settings
from projections import merchant_balance
from tests.projections.stories import Shop
from tests.projections.world import World, until


async def test_a_projector_process_says_that_it_is_ready_works_and_leaves(
    database: str, world: World, tmp_path: Path
) -> None:
    ready, stop = tmp_path / "ready", asyncio.Event()
    settings = Settings(database_url=database, ready_file=ready)
    process = asyncio.create_task(run(settings, stop))

    async def is_ready() -> bool:
        return ready.exists()

    await until(is_ready)
    for stream, events in Shop().opens():
        await world.append(stream, *events)
    await until(lambda: world.seen_all("merchant_balance"))
    stop.set()
    await process

    assert set(await world.rows(merchant_balance.PROJECTION)) == {"merchant-1"}
    assert await world.value("SELECT count(*) FROM followers") == 0
    assert await world.value("SELECT count(*) FROM checkpoints WHERE owner IS NOT NULL") == 0


async def test_a_projector_process_serves_its_figures(
    database: str, world: World, tmp_path: Path
) -> None:
    ready, stop, port = tmp_path / "ready", asyncio.Event(), free_port()
    settings = Settings(database_url=database, ready_file=ready, metrics_port=port)
    for stream, events in Shop().opens():
        await world.append(stream, *events)
    process = asyncio.create_task(run(settings, stop))
    await until(lambda: world.seen_all("merchant_balance"))

    async with httpx.AsyncClient() as client:
        told = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    stop.set()
    await process

    figures = dict(line.split() for line in told.splitlines() if line.startswith("handrail"))
    assert float(figures["handrail_projector_events_read"]) >= 1
    assert float(figures["handrail_projector_checkpoints_held"]) >= 1


async def test_a_projector_process_forgets_old_answers_of_the_api(
    database: str, world: World, tmp_path: Path
) -> None:
    stop = asyncio.Event()
    async with world.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO requests (route, key, fingerprint, claimed_until, status, created_at)"
            " SELECT 'POST /orders', age || ' days', '', clock_timestamp(), 202,"
            " clock_timestamp() - make_interval(days => age) FROM unnest(ARRAY[6, 8]) AS age"
        )
    process = asyncio.create_task(run(Settings(database_url=database), stop))

    async def forgotten() -> bool:
        return bool(await world.value("SELECT count(*) FROM requests") == 1)

    await until(forgotten)
    stop.set()
    await process

    assert await world.value("SELECT key FROM requests") == "6 days"
