"""A clock that was put back: moments go on behind those there are, and settled answers stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from handrail.projections.moments import ClockBehind
from tests.projections.test_moments import OPENED, STREAM, accrued, balance, keep, now
from tests.projections.world import World, a_world

BEHIND = timedelta(hours=1)
A_LITTLE = timedelta(milliseconds=1)


@pytest.fixture
async def world(database_with_read_models: str) -> AsyncIterator[World]:
    async with a_world(database_with_read_models) as world:
        yield world


async def clock_is_put_back(world: World, by: timedelta) -> None:
    """As the store sees it: what was kept was kept so much later by the clock."""
    await world.sql(f"UPDATE moments SET at = at + interval '{by.total_seconds()} s',"
                    f" until = until + interval '{by.total_seconds()} s'")  # fmt: skip


async def newest(world: World) -> datetime:
    moment: datetime = await world.value("SELECT max(until) FROM moments")
    return moment


async def test_moments_go_on_while_the_clock_is_behind_and_settled_answers_stay(
    world: World,
) -> None:
    await world.append(STREAM, OPENED, accrued(5))
    await keep(world)
    await clock_is_put_back(world, BEHIND)
    settled = await newest(world)
    before = await balance(world, settled)
    answers = []
    for sum_ in (7, 9):
        await world.append(STREAM, accrued(sum_))
        await asyncio.wait_for(keep(world), 5)
        answers.append(await balance(world, await newest(world)))
    assert (before, answers) == (5, [7, 9])
    assert await balance(world, settled) == 5
    assert settled < await newest(world) < settled + A_LITTLE

    await clock_is_put_back(world, -BEHIND)  # it has caught up
    await world.append(STREAM, accrued(11))
    await keep(world)
    later = await newest(world)
    await keep(world)
    assert await balance(world, later) == 11
    assert await balance(world, settled - BEHIND) == 5
    assert await balance(world, settled - BEHIND + A_LITTLE) == 9


async def test_what_was_just_now_is_refused_where_the_clock_has_said_it_before(
    world: World,
) -> None:
    await world.append(STREAM, OPENED, accrued(5))
    await keep(world)
    await clock_is_put_back(world, BEHIND)
    await world.append(STREAM, accrued(7))
    with pytest.raises(
        ClockBehind, match=r"put back, and says .* a second time: ask without as_of"
    ):
        await balance(world, await now(world))
    assert await balance(world, await now(world) + 2 * BEHIND) == 7, "the future is as of now"

    await clock_is_put_back(world, -BEHIND)
    await keep(world)
    moment = await now(world)
    await keep(world)
    assert await balance(world, moment) == 7


async def test_a_clock_that_is_set_back_by_a_little_has_nothing_refused(world: World) -> None:
    await world.append(STREAM, OPENED, accrued(5))
    await keep(world)
    await clock_is_put_back(world, timedelta(seconds=1))
    await world.append(STREAM, accrued(7))
    assert await balance(world, await now(world)) in {None, 5, 7}


async def test_moments_of_several_processes_follow_each_other_while_the_clock_is_behind(
    world: World,
) -> None:
    await world.append(STREAM, OPENED)
    await keep(world)
    await clock_is_put_back(world, BEHIND)
    last = await newest(world)
    await world.append(STREAM, accrued(5))
    kept = await asyncio.gather(*(world.value("SELECT keep_moment()") for _ in range(5)))
    assert any(kept)
    found = await world.sql("SELECT at, until FROM moments ORDER BY at")
    assert len(found) == 2
    assert last < found[1][0] <= found[1][1]
