"""A server that lost its last moments gives transaction numbers out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.identifiers import OrderId
from handrail.projections.projector import Runner
from tests.projections.stories import Shop
from tests.projections.world import World, a_world
from tests.servers.postgres import a_server, migrated, use_numbers, value

pytestmark = pytest.mark.thorough

NEXT_NUMBER = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


async def _sells(world: World, shop: Shop, *orders: str) -> None:
    for order in orders:
        for stream, events in shop.sells(OrderId(order)):
            await world.append(stream, *events)


async def _tick(world: World, runner: Runner) -> None:
    """Until the connections that were lost are replaced."""
    async with world.pool.connection() as connection:
        await runner.tick(connection)


async def test_an_idle_projector_trusts_no_number_that_the_server_has_lost(tmp_path: Path) -> None:
    unflushed = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
    async with a_server(tmp_path / "server", **unflushed) as server:
        await migrated(server)
        shop = Shop()
        async with a_world(server.url) as world:
            for stream, events in shop.opens():
                await world.append(stream, *events)
            await _sells(world, shop, "before")
            runner = world.runner(lease=600)
            for _ in range(3):
                await _tick(world, runner)
            await use_numbers(server.url, 200)
            lost = await value(server.url, NEXT_NUMBER)
            await _tick(world, runner)

            await server.kill()
            await server.start()
            assert await value(server.url, NEXT_NUMBER) < lost
        async with a_world(server.url) as world:
            await _sells(world, shop, "after-1", "after-2")
            assert await value(server.url, NEXT_NUMBER) < lost
            for _ in range(3):
                await _tick(world, runner)

            found = await world.sql('SELECT "order" FROM order_status ORDER BY 1')
            assert [order for (order,) in found] == ["after-1", "after-2", "before"]
