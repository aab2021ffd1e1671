"""Lists as of a moment: they equal the lists of a rebuild that stopped there, page by page."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import psycopg
import pytest

from domain.identifiers import OrderId
from domain.ordering.events import OrderPlaced
from handrail.eventstore.store import ANY_VERSION
from handrail.kernel import Event
from handrail.projections import past_lists, saga_board
from handrail.projections.past_lists import ListBehind, PastList, PastSlice, Reads, list_as_of
from projections import order_status, stock_level
from runtime.app import HANDRAIL
from tests.eventstore.interleaving import store_over
from tests.projections.stories import Shop, Told
from tests.projections.test_as_of import Committing
from tests.projections.test_moments import keep, now, rebuilt, uncommitted
from tests.projections.world import World

CODEC = HANDRAIL.codec
BOARD = HANDRAIL.saga_board
LISTED = (order_status.PROJECTION, stock_level.PROJECTION, BOARD)


def reads(world: World, **options: Any) -> Reads:
    return Reads(Committing(world), Committing(world), CODEC, **options)


async def pages(
    world: World, wanted: PastList[Any], moment: datetime, limit: int, **options: Any
) -> list[PastSlice[Any]]:
    found: list[PastSlice[Any]] = []
    after = None
    while not found or after is not None:
        found.append(
            await list_as_of(reads(world, **options), wanted, moment, after=after, limit=limit)
        )
        after = found[-1].next
    return found


async def listed(world: World, wanted: PastList[Any], moment: datetime, limit: int) -> list[Any]:
    return [row for page in await pages(world, wanted, moment, limit) for row in page.rows]


def expected(wanted: PastList[Any], rows: Mapping[tuple[str, str], Any]) -> list[Any]:
    """By the plainest means: all rows of then, filtered and sorted."""
    own = [
        row
        for (name, _), row in rows.items()
        if name == wanted.projection.name and row is not None and wanted.has(row)
    ]
    return sorted(own, key=wanted.place, reverse=wanted.newest_first)


def placed_now(told: Iterable[Told]) -> Iterable[Told]:
    """Orders are placed when they are stored, so that one that is placed again has another time."""
    for stream, events in told:
        yield stream, [_now(event) for event in events]


def _now(event: Event) -> Event:
    return replace(event, placed_at=datetime.now(UTC)) if isinstance(event, OrderPlaced) else event


def a_story(shop: Shop, number: int, orders: int) -> Iterable[Told]:
    """Orders that stand, that are refused, and that are placed again after that."""
    chance = random.Random(number)
    yield from shop.opens()
    for one in range(orders):
        order = OrderId(f"{number}-{one}")
        if chance.random() < 0.4:
            yield from placed_now(shop.is_refused(order))
            if chance.random() < 0.3:
                continue
        yield from placed_now(shop.sells(order))


async def _nothing(world: World) -> None:
    del world


async def under_load(
    world: World,
    orders: int,
    asked: int,
    beside: Callable[[World], Awaitable[None]] = _nothing,
) -> list[datetime]:
    """Writers side by side, some of whom commit late, a projector, and moments that are kept."""
    done = asyncio.Event()

    async def keep_on() -> None:
        while not done.is_set():
            await world.value("SELECT keep_moment()")
            await beside(world)
            await asyncio.sleep(0.1)

    async def write(number: int) -> None:
        chance = random.Random(number)
        async with await psycopg.AsyncConnection.connect(world.url) as connection:
            store = store_over(connection, CODEC)
            for stream, events in a_story(Shop(number), number, orders):
                await store.append([(stream, ANY_VERSION, events)], metadata={"actor": "ann"})
                if chance.random() < 0.7:
                    await asyncio.sleep(chance.random() / 50)
                    await connection.commit()
            await connection.commit()

    began = await now(world)
    keeping = asyncio.create_task(keep_on())
    async with world.running(world.runner()):
        await asyncio.gather(*(write(number) for number in range(1, 5)))
    ended = await now(world)
    done.set()
    await keeping
    await keep(world)
    await keep(world)
    await world.catch_up()
    chance, span = random.Random(0), (ended - began).total_seconds()
    return [began + timedelta(seconds=chance.random() * span) for _ in range(asked)]


def a_list(chance: random.Random) -> PastList[Any]:
    """One of the lists there are, with one of its filters."""
    merchant = f"merchant-{chance.randint(1, 4)}"
    return chance.choice(
        [
            order_status.list_of({}),
            order_status.list_of({"merchant": merchant}),
            order_status.list_of({"status": chance.choice(["confirmed", "refused"])}),
            order_status.list_of({"customer": f"customer-{chance.randint(1, 4)}"}),
            stock_level.list_of(merchant),
            saga_board.list_of(BOARD, {}),
            saga_board.list_of(BOARD, {"status": "completed", "tenant": merchant}),
        ]
    )


async def agree(world: World, asked: Sequence[datetime]) -> int:
    """How many lists were compared, each with a rebuild that stopped at its moment."""
    compared = 0
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
            known[snapshot] = await rebuilt(world, snapshot, LISTED)
        chance = random.Random(str(moment))
        wanted, limit = a_list(chance), chance.choice([3, 20, 100])
        then = await listed(world, wanted, moment, limit)
        assert then == expected(wanted, known[snapshot]), (moment, wanted.where)
        compared += 1
    return compared


async def test_lists_as_of_random_moments_under_load_equal_a_rebuild_that_stopped_there(
    world: World,
) -> None:
    asked = await under_load(world, 6, 40)
    assert await agree(world, asked) > 20
    assert await world.value("SELECT count(*) FROM order_status_earlier_keys") > 0


@pytest.mark.thorough
async def test_lists_as_of_a_thousand_random_moments_equal_rebuilds_that_stopped_there(
    world: World,
) -> None:
    asked = await under_load(world, 40, 1_000)
    assert await agree(world, asked) > 500


async def placed(world: World, order: str, shop: Shop, *, refused: bool = False) -> None:
    story = shop.is_refused(OrderId(order)) if refused else shop.sells(OrderId(order))
    for stream, events in placed_now(story):
        await world.append(stream, *events)


async def a_moment(world: World) -> datetime:
    """One that is settled, of all that was stored before."""
    await keep(world)
    moment = await now(world)
    await keep(world)
    return moment


def orders(page: PastSlice[Any]) -> list[tuple[str, str]]:
    return [(row.order, row.status) for row in page.rows]


async def test_an_order_that_was_placed_again_is_where_it_was_then(world: World) -> None:
    shop = Shop()
    await placed(world, "a", shop, refused=True)
    await placed(world, "b", shop)
    before = await a_moment(world)
    await placed(world, "a", shop)
    after = await a_moment(world)
    await world.catch_up()
    of_all = order_status.list_of({})
    [then] = await pages(world, of_all, before, 10)
    [later] = await pages(world, of_all, after, 10)
    assert orders(then) == [("b", "confirmed"), ("a", "refused")]
    assert orders(later) == [("a", "confirmed"), ("b", "confirmed")]


async def test_a_row_that_another_tenant_has_since_stays_in_the_past_of_the_first(
    world: World,
) -> None:
    first, second = Shop(1), Shop(2)
    await placed(world, "a", first, refused=True)
    before = await a_moment(world)
    await placed(world, "a", second)
    await world.catch_up()
    of_first = order_status.list_of({"merchant": first.merchant})
    of_second = order_status.list_of({"merchant": second.merchant})
    assert [len(page.rows) for page in await pages(world, of_first, before, 10)] == [1]
    assert [len(page.rows) for page in await pages(world, of_second, before, 10)] == [0]


async def test_a_rebuild_keeps_the_earlier_keys_too(world: World) -> None:
    shop = Shop()
    await placed(world, "a", shop, refused=True)
    await placed(world, "a", shop)
    await world.catch_up()
    kept = await world.sql("SELECT * FROM order_status_earlier_keys")
    await world.sql("DELETE FROM order_status_earlier_keys")
    await world.sql(
        "UPDATE checkpoints SET since = '1:1:', revision = revision + 1"
        " WHERE projection = 'order_status'"
    )
    await world.sql("DELETE FROM order_status")
    await world.catch_up()
    assert len(kept) == 1
    assert await world.sql("SELECT * FROM order_status_earlier_keys") == kept


async def test_what_no_row_says_yet_is_waited_for_and_never_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_lists, "PATIENCE", 0.1)
    await placed(world, "a", Shop())
    moment = await a_moment(world)
    with pytest.raises(ListBehind):
        await pages(world, order_status.list_of({}), moment, 10)
    await world.catch_up()
    [page] = await pages(world, order_status.list_of({}), moment, 10)
    assert orders(page) == [("a", "confirmed")]


async def test_a_late_commit_is_in_no_list_of_a_moment_before_it(world: World) -> None:
    [(stream, events), *rest] = chain(placed_now(Shop().sells(OrderId("a"))))
    async with uncommitted(world, *events, stream=stream) as late:
        moment = await a_moment(world)
        await late.commit()
    for other, told in rest:
        await world.append(other, *told)
    await world.catch_up()
    [page] = await pages(world, order_status.list_of({}), moment, 10)
    assert (page.rows, page.next) == ([], None)


async def test_before_the_first_event_a_list_is_empty_and_in_the_future_it_is_that_of_now(
    world: World,
) -> None:
    await placed(world, "a", Shop())
    await keep(world)
    await world.catch_up()
    of_all = order_status.list_of({})
    [before] = await pages(world, of_all, datetime(2001, 1, 1, tzinfo=UTC), 10)
    [future] = await pages(world, of_all, datetime.now(UTC) + timedelta(days=1), 10)
    assert (orders(before), orders(future)) == ([], [("a", "confirmed")])


async def test_a_page_looks_at_a_bounded_number_of_rows_and_the_next_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_lists, "KEYS_AT_MOST", 5)
    shop = Shop()
    for number in range(12):
        await placed(world, str(number), shop, refused=number == 0)
    moment = await a_moment(world)
    await world.catch_up()
    found = await pages(world, order_status.list_of({"status": "refused"}), moment, 10)
    assert [len(page.rows) for page in found] == [0, 0, 1]


async def test_a_page_folds_a_bounded_number_of_events_and_the_next_goes_on(world: World) -> None:
    shop = Shop()
    for number in range(6):
        await placed(world, str(number), shop)
    moment = await a_moment(world)
    await world.catch_up()
    found = await pages(world, order_status.list_of({}), moment, 10, events_at_most=40)
    assert len(found) > 1
    assert sum(len(page.rows) for page in found) == 6
