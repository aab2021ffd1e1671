"""A rebuild that was requested over HTTP is done with the owner's login, also after a crash."""

from __future__ import annotations

import asyncio

import pytest

from domain.identifiers import OrderId
from handrail.access.database_roles import DatabaseRoles
from handrail.kernel import Attribution
from handrail.projections import rebuild_requests
from handrail.projections.rebuild_requested import keep_rebuilding, rebuild_requested
from handrail.projections.rebuild_requests import RebuildRequest
from runtime.app import HANDRAIL
from tests.projections.stories import Shop
from tests.projections.test_rebuild import oid, tell
from tests.projections.world import ROLE, World, until

MODEL = "order_status"
ROLES = DatabaseRoles()


async def request(world: World, name: str = MODEL) -> bool:
    async with world.engine.begin() as connection:
        return await rebuild_requests.request(connection, name, Attribution("ann", "by hand"))


async def last(world: World, name: str = MODEL) -> RebuildRequest:
    async with world.engine.begin() as connection:
        found = await rebuild_requests.of(connection, name)
    assert found is not None
    return found


async def test_it_is_built_anew_and_says_so(world: World) -> None:
    shop = Shop()
    await tell(world, [*shop.opens(), *shop.sells(OrderId("1"))])
    await world.catch_up()
    before = await oid(world, MODEL)
    assert await request(world)
    assert (await last(world)).state == "waiting"

    async with asyncio.timeout(60), world.running(world.runner()):
        assert await rebuild_requested(world.url, ROLE, HANDRAIL.read_models, ROLES) == 1

    found = await last(world)
    assert (found.state, found.actor, found.reason) == ("done", "ann", "by hand")
    assert await oid(world, MODEL) != before


async def test_requested_while_it_is_built_it_is_built_once(world: World) -> None:
    assert await request(world)
    assert not await request(world)


async def test_what_was_begun_by_a_process_that_ended_goes_on_with_the_next(world: World) -> None:
    shop = Shop()
    await tell(world, [*shop.opens(), *shop.sells(OrderId("1"))])
    await world.catch_up()
    assert await request(world)
    arguments = (world.url, ROLE, HANDRAIL.read_models, ROLES)
    first = asyncio.create_task(keep_rebuilding(*arguments))  # no projector runs: it cannot end

    async def begun() -> bool:
        return (await last(world)).state == "building"

    await until(begun)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    async with asyncio.timeout(60), world.running(world.runner()):
        assert await rebuild_requested(*arguments) == 1
    assert (await last(world)).state == "done"


async def test_a_read_model_that_is_gone_is_a_failure_that_says_why(world: World) -> None:
    assert await request(world, "gone")
    assert await rebuild_requested(world.url, ROLE, HANDRAIL.read_models, ROLES) == 1
    found = await last(world, "gone")
    assert (found.state, found.failed.partition(":")[0]) == ("failed", "gone")
