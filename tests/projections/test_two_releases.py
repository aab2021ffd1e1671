"""Two releases serve side by side, each from a read model of its own: the newer one's has a column
more, and a name of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy import MetaData
from sqlalchemy.exc import ProgrammingError

from domain.identifiers import OrderId
from handrail.projections.drop_read_model import StillUsed, drop_read_model
from handrail.projections.install import install
from handrail.projections.projection import Projection
from handrail.projections.rebuild import UnknownReadModel, rebuild
from handrail.projections.row_of import row_of
from tests.projections.stories import Shop, Told
from tests.projections.test_rebuild import BALANCE, SECOND, TABLE
from tests.projections.world import ROLE, World, until

NAMED: Final[Projection[Any]] = replace(
    SECOND,
    name="merchant_balance_3",
    table=TABLE.to_metadata(MetaData(), name="merchant_balance_3"),
)
OLDER, NEWER = [BALANCE], [NAMED]


async def tell(world: World, story: Iterable[Told]) -> None:
    for stream, events in story:
        await world.append(stream, *events)


async def balances(world: World, of: Projection[Any]) -> list[tuple[str, int]]:
    return [
        (str(merchant), orders)
        for merchant, orders in await world.sql(
            f"SELECT merchant, orders FROM {of.table.name} ORDER BY merchant"
        )
    ]


async def test_each_release_reads_its_own_rows_all_the_time_and_forth_and_back(
    world: World,
) -> None:
    shop = Shop()
    await tell(world, shop.opens())
    await tell(world, shop.sells(OrderId("1")))
    await world.catch_up(OLDER)
    [(merchant, _)] = [one for one in await balances(world, BALANCE) if one[1]]

    async def reads(of: Projection[Any]) -> int:
        async with world.engine.connect() as connection:
            row = await row_of(connection, of, merchant)
        return int(row.orders) if row else 0

    async with world.running(world.runner(OLDER)):
        await asyncio.to_thread(install, world.url, ROLE, NEWER)
        assert await reads(BALANCE) == 1
        async with world.running(world.runner(NEWER)):
            await until(lambda: _is(reads, NAMED, 1))
            await tell(world, shop.sells(OrderId("2")))
            await until(lambda: _is(reads, BALANCE, 2))
            await until(lambda: _is(reads, NAMED, 2))
        await tell(world, shop.sells(OrderId("3")))
        await until(lambda: _is(reads, BALANCE, 3))
    assert await reads(NAMED) == 2, "it waits for its release to come back"
    await world.catch_up(NEWER)
    assert await reads(NAMED) == 3


async def _is(reads: Any, of: Projection[Any], orders: int) -> bool:
    return bool(await reads(of) == orders)


async def test_the_older_read_model_goes_once_its_release_is_gone(world: World) -> None:
    await asyncio.to_thread(install, world.url, ROLE, NEWER)
    with pytest.raises(StillUsed, match="this release has the read model merchant_balance_3"):
        drop_read_model(world.url, NAMED.name, NEWER)
    async with world.running(world.runner(OLDER)):
        await until(lambda: _follows(world))
        with pytest.raises(StillUsed, match="keeps merchant_balance: stop its release first"):
            await asyncio.to_thread(drop_read_model, world.url, BALANCE.name, NEWER)
    await asyncio.to_thread(drop_read_model, world.url, BALANCE.name, NEWER)
    left = "SELECT count(*) FROM checkpoints WHERE projection = 'merchant_balance'"
    assert await world.value(left) == 0
    assert await world.value("SELECT to_regclass('merchant_balance')") is None
    with pytest.raises(UnknownReadModel, match=r"merchant_balance: only .* can be dropped"):
        drop_read_model(world.url, BALANCE.name, NEWER)


async def _follows(world: World) -> bool:
    query = "SELECT count(*) FROM followers WHERE serves LIKE '%merchant_balance@%'"
    return bool(await world.value(query) > 0)


async def test_under_one_name_the_newer_release_reads_nothing_before_the_exchange(
    world: World,
) -> None:
    """Why a version with other columns gets a name of its own."""

    async def can_read(of: Projection[Any]) -> bool:
        try:
            async with world.engine.connect() as connection:
                await row_of(connection, of, "any")
        except ProgrammingError:
            return False
        return True

    assert [await can_read(one) for one in (BALANCE, SECOND)] == [True, False]
    async with world.running(world.runner([SECOND])), asyncio.timeout(30):
        await rebuild(world.url, ROLE, [SECOND.name], [SECOND])
    assert [await can_read(one) for one in (BALANCE, SECOND)] == [True, True]


async def test_an_older_release_that_migrates_leaves_what_the_newer_one_builds(
    world: World,
) -> None:
    third = replace(SECOND, version=SECOND.version + 1)
    await asyncio.to_thread(install, world.url, ROLE, [third])
    before = await forms(world)
    await asyncio.to_thread(install, world.url, ROLE, [SECOND])
    assert await forms(world) == before
    async with world.running(world.runner([third])), asyncio.timeout(30):
        await rebuild(world.url, ROLE, [third.name], [third])
    before = await forms(world)
    await asyncio.to_thread(install, world.url, ROLE, OLDER)
    assert await forms(world) == before


async def forms(world: World) -> list[tuple[Any, ...]]:
    return await world.sql("SELECT name, version FROM read_models ORDER BY name")
