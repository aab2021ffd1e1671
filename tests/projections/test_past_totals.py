"""Sums as of a moment: they equal the sums over the rows of a rebuild that stopped there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.identifiers import OrderId
from handrail.projections import kept_totals, past_totals
from handrail.projections.past_totals import TotalsNotKept, totals_as_of
from handrail.projections.totals import Key, totals
from runtime.app import HANDRAIL
from tests.projections.stories import Shop
from tests.projections.test_as_of import Committing
from tests.projections.test_moments import keep, now, rebuilt, uncommitted
from tests.projections.test_past_lists import a_moment, placed, under_load
from tests.projections.world import World

CODEC = HANDRAIL.codec
[FIGURES] = [one for one in HANDRAIL.read_models if one.adds is not None]


async def sums(world: World, moment: datetime, **options: Any) -> Mapping[Key, int]:
    found = await totals_as_of(Committing(world), FIGURES, moment, CODEC, **options)
    return {key: total for key, total in found.items() if total}


def over(rows: Mapping[tuple[str, str], Any]) -> Mapping[Key, int]:
    assert FIGURES.adds is not None
    found: Counter[Key] = Counter()
    for (name, _), row in rows.items():
        if name == FIGURES.name and row is not None:
            found.update(FIGURES.adds(row))
    return {key: total for key, total in found.items() if total}


def started(found: Mapping[Key, int]) -> int:
    return sum(total for (figure, _), total in found.items() if figure == "started")


async def keep_totals(world: World) -> None:
    async with world.pool.connection() as connection:
        await kept_totals.keep(connection, FIGURES)


async def agree(world: World, asked: Sequence[datetime]) -> int:
    """How many sums were compared."""
    compared = 0
    known: dict[str, Mapping[Key, int]] = {}
    for moment in asked:
        found = await world.sql(
            "SELECT snapshot::text FROM moments WHERE at <= :moment ORDER BY at DESC LIMIT 1",
            moment=moment,
        )
        if not found:
            continue
        [(snapshot,)] = found
        if snapshot not in known:
            known[snapshot] = over(await rebuilt(world, snapshot, (FIGURES,)))
        assert await sums(world, moment) == known[snapshot], moment
        compared += 1
    return compared


@pytest.mark.thorough
async def test_sums_as_of_random_moments_under_load_equal_a_rebuild_that_stopped_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Totals are kept in the middle of the load, while writers have not committed."""
    monkeypatch.setattr(kept_totals, "EVERY", 20)
    asked = await under_load(world, 6, 40, beside=keep_totals)
    assert await world.value("SELECT count(*) FROM kept_totals") > 2
    assert await agree(world, asked) > 20


@pytest.mark.thorough
async def test_sums_as_of_a_thousand_random_moments_equal_rebuilds_that_stopped_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_totals, "EVERY", 100)
    asked = await under_load(world, 40, 1_000, beside=keep_totals)
    assert await agree(world, asked) > 500


async def test_an_earlier_moment_goes_on_from_totals_that_were_kept_and_not_from_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    for order in ("a", "b"):
        await placed(world, order, shop)
        await keep(world)
    await world.catch_up()
    await keep_totals(world)
    moment = await a_moment(world)
    before = await sums(world, moment)
    for number in range(5):
        await placed(world, str(number), shop)
    await world.catch_up()
    monkeypatch.setattr(past_totals, "BETWEEN_AT_MOST", 60)
    assert await sums(world, moment) == before
    await world.sql("DELETE FROM kept_totals")
    with pytest.raises(TotalsNotKept):
        await sums(world, moment)


async def test_kept_totals_may_be_later_than_the_moment(world: World) -> None:
    shop = Shop()
    await placed(world, "a", shop)
    moment = await a_moment(world)
    await placed(world, "b", shop, refused=True)
    await world.catch_up()
    await keep_totals(world)
    assert started(await sums(world, moment)) == 1


async def test_the_folding_is_bounded(world: World) -> None:
    shop = Shop()
    await placed(world, "a", shop)
    moment = await a_moment(world)
    await placed(world, "b", shop)
    await world.catch_up()
    with pytest.raises(TotalsNotKept):
        await sums(world, moment, events_at_most=3)


async def test_a_late_commit_is_in_no_sum_of_a_moment_before_it(world: World) -> None:
    """Totals are kept while the writer has not committed: its events have earlier positions."""
    shop = Shop()
    async with uncommitted(world, *_started(shop), stream="saga-late") as late:
        await placed(world, "a", shop)
        await world.catch_up()
        await keep_totals(world)
        moment = await a_moment(world)
        await late.commit()
    await world.catch_up()
    later = await a_moment(world)
    assert started(await sums(world, moment)) == 1
    assert started(await sums(world, later)) == 2


def _started(shop: Shop) -> Sequence[Any]:
    return next(events for stream, events in shop.sells(OrderId("late")) if stream == "saga-late")


async def test_before_the_first_event_sums_are_empty_and_in_the_future_they_are_those_of_now(
    world: World,
) -> None:
    await placed(world, "a", Shop())
    await world.catch_up()
    await keep(world)
    async with world.engine.connect() as connection:
        today = await totals(connection, FIGURES.totals)
    assert await sums(world, datetime(2001, 1, 1, tzinfo=UTC)) == {}
    assert await sums(world, datetime.now(UTC) + timedelta(days=1)) == {
        key: total for key, total in today.items() if total
    }


async def test_where_no_moments_were_kept_sums_are_refused(world: World) -> None:
    await placed(world, "a", Shop())
    moment = await now(world)
    with pytest.raises(TotalsNotKept):
        await sums(world, moment)


async def test_totals_are_kept_once_in_so_many_events(world: World) -> None:
    await placed(world, "a", Shop())
    await world.catch_up()
    await keep_totals(world)
    await keep_totals(world)
    await placed(world, "b", Shop())
    await keep_totals(world)
    assert await world.value("SELECT count(*) FROM kept_totals") == 1
