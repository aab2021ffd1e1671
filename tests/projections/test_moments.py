"""The exact past: as of a moment is what had been committed then, and the same answer for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import psycopg
import pytest

from domain.identifiers import MerchantId, OrderId
from domain.settlement.events import MerchantAccountOpened, PayableAccrued
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.kernel import Event
from handrail.projections import moments, row_snapshots
from handrail.projections.as_of import fold_as_of
from handrail.projections.blame import blame_of
from handrail.projections.fold import apply, read
from handrail.projections.moments import Cut, MomentLost
from handrail.projections.projection import Projection, id_of
from handrail.projections.row_snapshots import RowSnapshot
from projections import merchant_balance, order_status
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.eventstore.interleaving import store_over
from tests.projections.stories import Shop
from tests.projections.test_as_of import Committing
from tests.projections.test_blame import recorded_in
from tests.projections.world import World

CODEC = HANDRAIL.codec
MERCHANT = MerchantId("m-1")
STREAM = f"merchant-{MERCHANT}"
OPENED = MerchantAccountOpened(merchant=MERCHANT, currency="EUR", fee_bps=100)


def accrued(balance: int) -> Event:
    return PayableAccrued(
        merchant=MERCHANT,
        order=OrderId("o"),
        gross=eur(balance),
        fee=eur(0),
        balance=eur(balance),
    )


async def keep(world: World) -> None:
    """A moment, as the projector keeps it: at most every half second it does something."""
    while not await world.value("SELECT keep_moment()"):  # noqa: ASYNC110  # of the database
        await asyncio.sleep(0.02)


async def now(world: World) -> datetime:
    moment: datetime = await world.value("SELECT clock_timestamp()")
    return moment


async def balance(world: World, moment: datetime) -> int | None:
    found = await fold_as_of(
        Committing(world), merchant_balance.PROJECTION, MERCHANT, moment, CODEC
    )
    return None if found.row is None else found.row.balance


@asynccontextmanager
async def uncommitted(
    world: World, *events: Event, stream: str = STREAM
) -> AsyncIterator[psycopg.AsyncConnection]:
    """Events that are inserted, and committed when the test says so."""
    async with await psycopg.AsyncConnection.connect(world.url) as connection:
        await store_over(connection, CODEC).append([(stream, ANY_VERSION, events)])
        yield connection


async def test_without_moments_a_late_commit_changes_the_answer(world: World) -> None:
    """So it is of times before moments were kept."""
    await world.append(STREAM, OPENED)
    async with uncommitted(world, accrued(5)) as late:
        moment = await now(world)
        before = await balance(world, moment)
        await late.commit()
    assert (before, await balance(world, moment)) == (0, 5)


async def test_what_was_committed_after_a_moment_never_becomes_part_of_it(world: World) -> None:
    await world.append(STREAM, OPENED)
    async with uncommitted(world, accrued(5)) as late:
        await keep(world)
        moment = await now(world)
        await keep(world)
        before = await balance(world, moment)
        await late.commit()
    at_once = await balance(world, moment)
    await keep(world)
    later = await now(world)
    await keep(world)
    assert (before, at_once, await balance(world, moment)) == (0, 0, 0)
    assert await balance(world, later) == 5


async def test_a_moment_lasts_while_nothing_happens(world: World) -> None:
    await world.append(STREAM, OPENED, accrued(5))
    for _ in range(3):
        await keep(world)
    assert await world.value("SELECT count(*) FROM moments") == 1
    at, until = (await world.sql("SELECT at, until FROM moments"))[0]
    assert until > at
    await world.append(STREAM, accrued(7))
    assert await balance(world, until) == 5


async def test_a_late_commit_alone_ends_a_moment(world: World) -> None:
    """Its position is lower than the newest one."""
    async with uncommitted(world, OPENED, accrued(5)) as late:
        await world.append("merchant-other", OPENED)
        await keep(world)
        await late.commit()
        moment = await now(world)
        await keep(world)
    assert await world.value("SELECT count(*) FROM moments") == 2
    assert await balance(world, moment) is None
    assert await balance(world, await world.value("SELECT max(at) FROM moments")) == 5


async def test_moments_that_two_processes_keep_follow_each_other(world: World) -> None:
    await world.append(STREAM, OPENED)
    kept = await asyncio.gather(*(world.value("SELECT keep_moment()") for _ in range(5)))
    assert kept.count(True) == 1
    assert await world.value("SELECT count(*) FROM moments") == 1


async def test_where_no_moments_were_kept_events_count_by_their_time_as_the_next_one_sees_them(
    world: World,
) -> None:
    await world.append(STREAM, OPENED)
    await keep(world)
    await world.sql("UPDATE moments SET at = at - interval '9 s', until = until - interval '9 s'")
    await world.append(STREAM, accrued(5))
    moment = await now(world)
    await world.append(STREAM, accrued(7))
    async with uncommitted(world, accrued(9)) as late:
        after_all = await now(world)
        await keep(world)
        before = await balance(world, moment), await balance(world, after_all)
        await late.commit()
    assert before == (5, 7)
    assert (await balance(world, moment), await balance(world, after_all)) == before


async def test_what_was_just_now_is_waited_for_while_moments_are_kept(world: World) -> None:
    await world.append(STREAM, OPENED)
    await keep(world)
    await world.append(STREAM, accrued(5))
    moment = await now(world)
    asked = asyncio.create_task(balance(world, moment))
    await asyncio.sleep(0)
    await keep(world)
    await keep(world)
    assert await asked == await balance(world, moment) == 0


async def test_the_future_is_as_of_now_and_not_waited_for(world: World) -> None:
    await world.append(STREAM, OPENED, accrued(5))
    await keep(world)
    assert await balance(world, datetime.now(UTC) + timedelta(days=1)) == 5


async def test_a_row_snapshot_that_has_more_than_the_moment_is_passed_over(world: World) -> None:
    async with uncommitted(world, OPENED, accrued(5)) as late:
        await world.append("merchant-other", OPENED)
        await keep(world)
        moment = await now(world)
        await keep(world)
        await late.commit()
    whole = (
        await fold_as_of(
            Committing(world), merchant_balance.PROJECTION, MERCHANT, await now(world), CODEC
        )
    ).row
    position = await world.value("SELECT max(position) FROM events WHERE stream = :s", s=STREAM)
    async with Committing(world).connect() as connection:
        await row_snapshots.keep(
            connection,
            merchant_balance.PROJECTION,
            MERCHANT,
            position,
            RowSnapshot(whole, {STREAM: 2}),
            codec=CODEC,
        )
        cut = Cut(position, {STREAM: 1})
        found = await row_snapshots.newest(
            connection, merchant_balance.PROJECTION, MERCHANT, cut, codec=CODEC
        )
    assert found == RowSnapshot()
    assert await balance(world, moment) is None


async def test_blame_is_of_what_had_been_committed_too(world: World) -> None:
    await world.append(STREAM, OPENED)
    async with uncommitted(world, accrued(5)) as late:
        await keep(world)
        moment = await now(world)
        await keep(world)
        await late.commit()
    blame = await blame_of(
        Committing(world), merchant_balance.PROJECTION, MERCHANT, CODEC, until=moment
    )
    assert {by.version for by in blame.set_by.values()} == {1}


async def test_after_another_server_was_adopted_moments_of_before_are_answered_or_refused(
    world: World,
) -> None:
    await world.append(STREAM, OPENED, accrued(5))
    await keep(world)
    kept = await world.value("SELECT max(until) FROM moments")
    await world.append(STREAM, accrued(7))
    lost = await now(world)
    await world.sql(
        "INSERT INTO store_epochs (epoch, system_identifier, timeline, events_oid,"
        " restored_position, first_position, cause, decided_by)"
        " SELECT 2, system_identifier, timeline, events_oid, p, p + 1000, 'a test', 'a test'"
        " FROM store_epochs, (SELECT max(position) AS p FROM events) AS newest"
    )
    began = await now(world)
    with pytest.raises(MomentLost):
        await balance(world, lost)
    assert await balance(world, kept) == 5
    await keep(world)
    with pytest.raises(MomentLost):
        await balance(world, lost)
    assert await balance(world, began) == 7
    assert await balance(world, await world.value("SELECT max(until) FROM moments")) == 7


async def rebuilt(
    world: World,
    snapshot: str,
    projections: Sequence[Projection[Any]] = (merchant_balance.PROJECTION, order_status.PROJECTION),
) -> Mapping[tuple[str, str], Any]:
    """All rows from what a snapshot sees: a rebuild that stopped there."""
    seen = {
        position
        for (position,) in await world.sql(
            "SELECT position FROM events"
            " WHERE pg_visible_in_snapshot(txid, CAST(:snapshot AS pg_snapshot))",
            snapshot=snapshot,
        )
    }
    rows: dict[tuple[str, str], Any] = {}
    for recorded in await recorded_in(world):
        if recorded.position not in seen:
            continue
        for projection in projections:
            if projection.reads(recorded):
                place = projection.name, id_of(recorded.stream)
                rows[place] = apply(projection, rows.get(place), read(recorded, CODEC))
    return rows


async def under_load(world: World, orders: int) -> list[datetime]:
    """Writers side by side, some of whom commit late, and a process that keeps moments."""
    done = asyncio.Event()

    async def keep_on() -> None:
        while not done.is_set():
            await world.value("SELECT keep_moment()")
            await asyncio.sleep(0.1)

    async def write(number: int) -> None:
        shop = Shop(number)
        chance = random.Random(number)
        async with await psycopg.AsyncConnection.connect(world.url) as connection:
            store: EventStore = store_over(connection, CODEC)
            told = chain(
                shop.opens(), *(shop.sells(OrderId(f"{number}-{n}")) for n in range(orders))
            )
            for stream, events in told:
                await store.append([(stream, ANY_VERSION, events)], metadata={"actor": "ann"})
                if chance.random() < 0.7:
                    await asyncio.sleep(chance.random() / 50)
                    await connection.commit()
            await connection.commit()

    began = await now(world)
    keeping = asyncio.create_task(keep_on())
    await asyncio.gather(*(write(number) for number in range(1, 5)))
    ended = await now(world)
    done.set()
    await keeping
    await keep(world)
    await keep(world)
    chance = random.Random(0)
    span = (ended - began).total_seconds()
    return [began + timedelta(seconds=chance.random() * span) for _ in range(1_000)]


async def agree(world: World, asked: list[datetime]) -> int:
    """How many answers were compared: each row at each time, with a rebuild stopped then."""
    compared = 0
    by_name: Mapping[str, Projection[Any]] = {
        one.name: one for one in (merchant_balance.PROJECTION, order_status.PROJECTION)
    }
    everything = await rebuilt(world, await world.value("SELECT pg_current_snapshot()::text"))
    known: dict[str, Mapping[tuple[str, str], Any]] = {}
    for moment in asked:
        found = await world.sql(
            "SELECT snapshot::text FROM moments WHERE at <= :moment ORDER BY at DESC LIMIT 1",
            moment=moment,
        )
        if not found:
            continue
        [(snapshot,)] = found
        if snapshot not in known:
            known[snapshot] = await rebuilt(world, snapshot)
        name, id_ = random.Random(str(moment)).choice(sorted(everything))
        then = await fold_as_of(Committing(world), by_name[name], id_, moment, CODEC)
        assert then.row == known[snapshot].get((name, id_)), (moment, name, id_)
        compared += 1
    return compared


async def test_as_of_random_moments_under_load_equals_a_rebuild_that_stopped_there(
    world: World,
) -> None:
    asked = await under_load(world, 6)
    assert await agree(world, asked[:60]) > 20


@pytest.mark.thorough
async def test_a_thousand_random_moments_under_load_equal_rebuilds_that_stopped_there(
    world: World,
) -> None:
    asked = await under_load(world, 40)
    assert await agree(world, asked) > 500


async def test_keeping_is_what_the_projector_may_do_and_no_other_writes_moments(
    world: World,
) -> None:
    found = await world.sql(
        "SELECT grantee, privilege_type FROM information_schema.role_table_grants"
        " WHERE table_name = 'moments' AND grantee LIKE 'handrail%' ORDER BY 1, 2"
    )
    assert {right for _, right in found} == {"SELECT"}
    assert moments.KEPT_EVERY == 1.0
