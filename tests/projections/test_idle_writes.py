"""What a page has nothing for is written down now and then, however much goes on elsewhere."""

from __future__ import annotations

import psycopg
import pytest

from domain.identifiers import OrderId
from runtime.app import HANDRAIL
from tests.projections.stories import placed
from tests.projections.world import World

PAGES = 40
WRITTEN = "SELECT coalesce(sum(revision), 0)::int FROM checkpoints"
BYTES = "SELECT pg_relation_size('checkpoints')::int"


@pytest.mark.thorough
async def test_a_page_writes_the_checkpoints_of_its_own_shards(world: World) -> None:
    """With an old snapshot that somebody keeps, each row that is written takes room for good."""
    await world.catch_up()
    runner = world.runner(lease=600)
    runner._writes_every = 600.0
    order = OrderId("1")
    async with (
        await psycopg.AsyncConnection.connect(world.url) as keeper,
        world.pool.connection() as connection,
    ):
        await keeper.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await keeper.execute("SELECT count(*) FROM checkpoints")
        await world.append(f"order-{order}", placed(order))
        await runner.tick(connection)  # this one writes all, and the next to do so is far
        before, size = await world.value(WRITTEN), await world.value(BYTES)
        for number in range(PAGES):
            await world.append(f"order-{order}", placed(order))
            assert sum(await runner.tick(connection)) == 1, number

        written = await world.value(WRITTEN) - before
        grown = await world.value(BYTES) - size

    assert written == len(HANDRAIL.read_models) * PAGES
    assert grown < 200 * written  # and not sixteen times as much
    assert await world.value(
        "SELECT bool_and(NOT EXISTS (SELECT FROM outbox o WHERE o.shard = c.shard"
        " AND NOT pg_visible_in_snapshot(o.txid, c.since))) FROM checkpoints c"
    )


async def test_idle_checkpoints_are_written_at_last_so_that_the_outbox_can_go(world: World) -> None:
    await world.catch_up()
    runner = world.runner(lease=600)
    async with world.pool.connection() as connection:
        await runner.tick(connection)
        for order in (OrderId("1"), OrderId("2")):
            token = await world.append(f"order-{order}", placed(order))
            await runner.tick(connection)
        runner._write_at = 0.0  # as if a second had passed
        await runner.tick(connection)

    assert await world.value(
        "SELECT bool_and(pg_visible_in_snapshot(CAST(:token AS xid8), since)) FROM checkpoints",
        token=token,
    )
