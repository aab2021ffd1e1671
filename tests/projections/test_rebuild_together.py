"""All read models are rebuilt together: the events are read once, and nothing else grows."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Sequence

import pytest

from benchmarks.history import write_past
from benchmarks.market import Market, everything
from handrail.eventstore.pool import open_pool
from handrail.projections.read_model import NEXT
from handrail.projections.rebuild import finish, pending, rebuild, start
from runtime.app import HANDRAIL
from tests.projections.world import ROLE, World, nobody_can_write, stuck, until
from tests.statements import statements_of

MODELS = HANDRAIL.read_models
NAMES = [one.name for one in MODELS]


async def past(world: World, events: int, name: str = "past") -> None:
    market = Market(name, customers=20, merchants=2, skus=2)
    async with open_pool(world.url, size=1) as pool, pool.connection() as connection:
        await write_past(connection, everything(market), events)


async def all_rows_are_right(world: World) -> None:
    for projection in HANDRAIL.read_models:
        assert await world.rows(projection) == await world.folded(projection), projection.name
    assert await world.value("SELECT count(*) FROM parked_events") == 0


async def checkpoints(world: World) -> Sequence[tuple[int, ...]]:
    return await world.sql(
        "SELECT DISTINCT after_position FROM checkpoints WHERE projection LIKE '%__next'"
    )


async def test_a_page_is_read_and_written_once_for_all_that_are_rebuilt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read the page, move the checkpoints, read the rows, write the rows."""
    await world.catch_up()
    await past(world, 900)
    await asyncio.to_thread(start, world.url, ROLE, NAMES, MODELS)
    runner = world.runner(lease=600, page=100, history_page=300)
    async with world.pool.connection() as connection:
        await runner.tick(connection)
        statements = statements_of(world.url, monkeypatch)
        counts = await runner.tick(connection)

    assert sorted(counts) == [0, 300]  # those in use have nothing to do, in two statements at most
    assert len(statements) - 4 in {1, 2}
    writes = [one for one in statements if "INSERT INTO" in one]
    assert [one.count(f'INSERT INTO "{name}{NEXT}"') for one in writes for name in NAMES] == [1] * 9
    assert len([one for one in statements if "row_to_json" in one]) == 1
    assert len([one for one in statements if "feed_history" in one]) == 1
    assert len(await checkpoints(world)) == 1


@pytest.mark.thorough
async def test_all_are_exchanged_while_a_projector_dies_in_the_middle(world: World) -> None:
    await past(world, 2000)
    await world.catch_up()
    dying, heir = world.runner(owner="dying", page=200), world.runner(owner="heir", page=200)
    task = asyncio.create_task(dying.run(asyncio.Event()))
    await asyncio.to_thread(start, world.url, ROLE, NAMES, MODELS)

    async def is_under_way() -> bool:
        return any(at > 0 for (at,) in await checkpoints(world))

    await until(is_under_way)
    async with nobody_can_write(world, f"merchant_balance{NEXT}"):

        async def is_stuck() -> bool:
            return bool(await stuck(world))

        await until(is_stuck)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    half = await world.value("SELECT to_regclass('saga_board__next')::oid::bigint")

    async with world.running(heir):
        async with asyncio.timeout(60):
            await rebuild(world.url, ROLE, NAMES, MODELS)

    assert await world.value("SELECT 'saga_board'::regclass::oid::bigint") == half
    assert pending(world.url) == []
    await all_rows_are_right(world)


@pytest.mark.thorough
async def test_the_memory_of_a_rebuild_does_not_grow_with_history(world: World) -> None:
    peaks = []
    for name, events in (("short", 1000), ("long", 4000)):
        await past(world, events, name)
        await asyncio.to_thread(start, world.url, ROLE, NAMES, MODELS)
        tracemalloc.start()
        try:
            await world.catch_up(page=200)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        for one in NAMES:
            assert await asyncio.to_thread(finish, world.url, one, MODELS)
        await all_rows_are_right(world)

    assert peaks[1] < 1.3 * peaks[0], peaks
