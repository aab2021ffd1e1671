"""A retry that was requested over HTTP is done by a projector, which stores what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from handrail.eventstore import retry_requests
from handrail.kernel import Attribution
from handrail.processes.projector import run
from handrail.projections.retry_requested import retry_requested
from handrail.settings import Settings
from runtime.app import HANDRAIL
from tests.projections.test_poison import BAD, BUGGY, ORDERS, STOCK, a_poisoned_order, parked
from tests.projections.world import World, until

STREAM = f"payment-{BAD}"
MODEL = ORDERS.name


async def request(world: World, stream: str = STREAM, reason: str = "mended") -> bool:
    async with world.engine.begin() as connection:
        by = Attribution("ann", reason)
        return bool(await retry_requests.request(connection, MODEL, stream, by, [MODEL]))


async def outcomes(world: World) -> list[tuple[Any, ...]]:
    return await world.sql(
        "SELECT stream, handled, stopped_by FROM retry_requests WHERE settled_at IS NOT NULL"
    )


async def test_a_projector_process_makes_the_row_what_a_rebuild_makes(
    database: str, world: World
) -> None:
    stop = asyncio.Event()
    await a_poisoned_order(world)
    assert await request(world)
    process = asyncio.create_task(run(Settings(database_url=database), stop))

    async def done() -> bool:
        return bool(await outcomes(world))

    await until(done)
    stop.set()
    await process
    assert await outcomes(world) == [(STREAM, 2, "")]
    assert await parked(world) == []
    assert await world.rows(ORDERS) == await world.folded(ORDERS)


@pytest.mark.parametrize("stream", ["", STREAM])
async def test_a_retry_in_vain_says_what_still_waits(world: World, stream: str) -> None:
    await a_poisoned_order(world)
    assert await request(world, stream)

    assert await retry_requested(world.pool, [BUGGY, STOCK], HANDRAIL.codec) == 1

    [(_, handled, stopped_by)] = await outcomes(world)
    assert handled == 0
    assert f"{STREAM} stopped at position" in stopped_by
    assert stopped_by.startswith("rows that still wait: 1; ") == (stream == "")


async def test_a_request_is_left_to_processes_of_the_version_that_is_in_use(world: World) -> None:
    await a_poisoned_order(world)
    assert await request(world)
    other = replace(ORDERS, version=ORDERS.version + 1)

    assert await retry_requested(world.pool, [other], HANDRAIL.codec) == 0
    assert await outcomes(world) == []

    assert await retry_requested(world.pool, [ORDERS, STOCK], HANDRAIL.codec) == 1
    assert await outcomes(world) == [(STREAM, 2, "")]


async def test_what_is_requested_again_is_done_again(world: World) -> None:
    await a_poisoned_order(world)
    await request(world)
    await retry_requested(world.pool, [BUGGY, STOCK], HANDRAIL.codec)
    await request(world, reason="now it is mended")

    assert await outcomes(world) == []
    assert await retry_requested(world.pool, [ORDERS, STOCK], HANDRAIL.codec) == 1

    assert await world.sql("SELECT reason, handled FROM retry_requests") == [
        ("now it is mended", 2)
    ]


async def test_without_anything_parked_there_is_nothing_to_request(world: World) -> None:
    await world.catch_up()

    assert not await request(world)
    assert await world.sql("SELECT FROM retry_requests") == []


async def test_what_was_settled_long_ago_is_removed(world: World) -> None:
    await world.sql(
        "INSERT INTO retry_requests (subscriber, stream, actor, reason, settled_at)"
        " SELECT 'm', hours || '', 'ann', 'x', clock_timestamp() - make_interval(hours => hours)"
        " FROM unnest(ARRAY[47, 49]) AS hours"
    )
    async with world.pool.connection() as connection:
        await retry_requests.prune(connection)

    assert await world.value("SELECT stream FROM retry_requests") == "47"
