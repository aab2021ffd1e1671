"""The questions that the API asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import chain
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.settlement.events import MerchantAccountOpened
from handrail.access.principal import EVERYTHING
from handrail.eventstore.subscriptions.lag import Lag, lag
from handrail.paging import Slice
from handrail.projections import saga_board, saga_figures
from handrail.sagas.events import SagaParked, SagaStarted
from handrail.sagas.interventions import SagaFilter
from projections import customer_account, merchant_balance, order_status, stock_level
from runtime.app import HANDRAIL
from tests.controls import NOON, eur
from tests.projections.stories import Shop, placed
from tests.projections.world import World

BOARD = HANDRAIL.saga_board.table


async def pages(ask: Callable[..., Awaitable[Slice[Any]]], **asked: Any) -> list[list[Any]]:
    found, after = [], None
    for _ in range(20):
        page = await ask(**asked, after=after)
        found.append(list(page.rows))
        if page.next is None:
            return found
        after = page.next
    raise AssertionError("the pages do not come to an end")


async def sold(world: World, shops: int = 1, orders: int = 3) -> list[Shop]:
    all_shops = [Shop(number) for number in range(1, shops + 1)]
    for shop in all_shops:
        story = [shop.sells(OrderId(f"{shop.merchant}-{n}")) for n in range(orders)]
        for stream, events in chain(shop.opens(), *story):
            await world.append(stream, *events)
    await world.catch_up()
    return all_shops


async def test_one_of_each_can_be_asked_for(world: World) -> None:
    [shop] = await sold(world, orders=1)
    order = f"{shop.merchant}-0"

    async with world.engine.connect() as connection:
        found = await order_status.order(connection, order)
        account = await customer_account.customer(connection, shop.customer)
        balance = await merchant_balance.merchant(connection, shop.merchant)
        item = await stock_level.item(connection, shop.merchant, shop.sku)
        saga = await saga_board.saga(connection, BOARD, order)

    assert found
    assert (found.status, found.payment, found.booking) == ("confirmed", "captured", "b")
    assert found.lines == [{"sku": "cup", "quantity": 2, "unit_price": 50_00}]
    assert account
    assert (account.used, account.orders) == (75_00, {order: {"held": 0, "owed": 75_00}})
    assert balance
    assert (balance.balance, balance.orders) == (97_10, 1)
    assert item
    assert (item.available, item.reserved) == (999_998, 2)
    assert saga
    assert (saga.status, len(saga.timeline)) == ("completed", 12)


async def test_what_is_not_there_is_none(world: World) -> None:
    async with world.engine.connect() as connection:
        assert await order_status.order(connection, "x") is None
        assert await customer_account.customer(connection, "x") is None
        assert await merchant_balance.merchant(connection, "x") is None
        assert await merchant_balance.merchant_currency(connection, "x") is None
        assert await stock_level.item(connection, "x", "y") is None
        assert await saga_board.saga(connection, BOARD, "x") is None


async def some_orders(world: World) -> None:
    """Ten orders, several of which were placed at the same moment."""
    for number in range(10):
        placing = placed(
            OrderId(f"o{number}"),
            CustomerId("ann" if number % 2 else "bob"),
            MerchantId("m1" if number < 5 else "m2"),
        )
        moment = NOON + timedelta(minutes=number // 3)
        await world.append(
            f"order-o{number}", type(placing)(**{**placing.__dict__, "placed_at": moment})
        )
    await world.catch_up()


async def test_pages_of_orders_hold_each_order_once_newest_first(world: World) -> None:
    await some_orders(world)

    async with world.engine.connect() as connection:
        for limit in (1, 2, 3, 9, 10, 50):

            async def ask(limit: int = limit, **asked: Any) -> Slice[Any]:
                return await order_status.orders(
                    connection, visible=EVERYTHING, limit=limit, **asked
                )

            found = await pages(ask)
            anns = await pages(ask, customer="ann")
            of_both = await pages(ask, customer="ann", merchant="m1", status="placed")
            none = await pages(ask, status="refused")

            assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
            assert found[-1]
            assert [row.order for page in found for row in page] == [
                f"o{n}" for n in reversed(range(10))
            ]
            assert [row.order for page in anns for row in page] == ["o9", "o7", "o5", "o3", "o1"]
            assert [row.order for page in of_both for row in page] == ["o3", "o1"]
            assert none == [[]]


async def test_an_order_that_comes_between_two_pages_does_not_disturb_them(world: World) -> None:
    await some_orders(world)
    async with world.engine.connect() as connection:
        first = await order_status.orders(connection, visible=EVERYTHING, limit=4)
        newer = placed(OrderId("newer"))
        await world.append(
            "order-newer",
            type(newer)(**{**newer.__dict__, "placed_at": NOON + timedelta(days=1)}),
        )
        await world.catch_up()
        rest = await order_status.orders(connection, visible=EVERYTHING, after=first.next, limit=50)

    assert [row.order for row in (*first.rows, *rest.rows)] == [
        f"o{n}" for n in reversed(range(10))
    ]


async def test_orders_are_counted_by_status(world: World) -> None:
    await some_orders(world)
    await sold(world, orders=2)

    async with world.engine.connect() as connection:
        assert await order_status.counts(connection) == {"placed": 10, "confirmed": 2}


async def test_a_list_of_orders_reads_along_an_index(world: World) -> None:
    await some_orders(world)
    await world.sql("SET enable_seqscan = off")
    after = "(placed_at, \"order\") < ('2026-03-02 12:02+00', 'o7')"
    for where in ("", "customer = 'ann' AND", "merchant = 'm1' AND", "status = 'placed' AND"):
        async with world.engine.begin() as connection:
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            await connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
            plan = await connection.exec_driver_sql(
                f"EXPLAIN SELECT * FROM order_status WHERE {where} {after}"
                ' ORDER BY placed_at DESC, "order" DESC LIMIT 51'
            )
            lines = "\n".join(line for (line,) in plan)
        assert "Index Scan Backward" in lines
        assert "Sort" not in lines


async def parked_sagas(world: World) -> None:
    for number in range(7):
        saga, shop = f"s{number}", MerchantId(f"m{number % 2}")
        await world.append(
            f"saga-{saga}",
            SagaStarted(
                saga=saga,
                saga_type="checkout" if number < 5 else "return",
                shape=1,
                attempt=1,
                tenant=shop,
                at_stake=eur(100),
                actor="ann",
            ),
        )
    for number in (4, 1, 6, 3):
        parked = SagaParked(
            saga=f"s{number}", attempt=1, step="Capture", direction="do", cause="silence"
        )
        await world.append(f"saga-s{number}", parked)
    await world.catch_up()


async def test_parked_sagas_are_listed_with_the_longest_wait_first(world: World) -> None:
    await parked_sagas(world)

    async with world.engine.connect() as connection:

        async def ask(**asked: Any) -> Slice[Any]:
            return await saga_board.parked(connection, BOARD, limit=2, **asked)

        all_of_them, some = (
            SagaFilter(),
            SagaFilter(tenant="m1", step="Capture", saga_type="checkout"),
        )
        oldest = await pages(ask, which=all_of_them)
        newest = await pages(ask, which=all_of_them, newest_first=True)
        of_one = await pages(ask, which=some)

    assert [[row.saga for row in page] for page in oldest] == [["s4", "s1"], ["s6", "s3"]]
    assert [[row.saga for row in page] for page in newest] == [["s3", "s6"], ["s1", "s4"]]
    assert [row.saga for page in of_one for row in page] == ["s1", "s3"]


async def test_sagas_are_listed_newest_first_and_filtered(world: World) -> None:
    await parked_sagas(world)

    async with world.engine.connect() as connection:

        async def ask(**asked: Any) -> list[str]:
            async def one(**more: Any) -> Slice[Any]:
                return await saga_board.sagas(
                    connection, HANDRAIL.saga_board, visible=EVERYTHING, limit=2, **more
                )

            return [row.saga for page in await pages(one, **asked) for row in page]

        assert await ask() == ["s6", "s5", "s4", "s3", "s2", "s1", "s0"]
        assert await ask(status="running") == ["s5", "s2", "s0"]
        assert await ask(saga_type="return") == ["s6", "s5"]
        assert await ask(tenant="m1", status="parked") == ["s3", "s1"]
        assert await ask(step="Capture") == ["s6", "s4", "s3", "s1"]
        assert await ask(step="Nothing") == []


async def test_sagas_are_counted_with_the_money_at_stake(world: World) -> None:
    await parked_sagas(world)

    async with world.engine.connect() as connection:
        found = await saga_figures.figures(connection)
        [oldest] = (await saga_board.parked(connection, BOARD, SagaFilter(), limit=1)).rows

    assert found.of("checkout", "standing") == {("parked",): 3, ("running",): 2}
    assert found.of("return", "standing") == {("parked",): 1, ("running",): 1}
    assert {kind: found.of(kind, "at_stake") for kind in found.types} == {
        "checkout": {("parked", "EUR"): 300, ("running", "EUR"): 200},
        "return": {("parked", "EUR"): 100, ("running", "EUR"): 100},
    }
    assert found.oldest_parked["checkout"] == oldest.parked_since


async def test_the_stock_of_a_merchant_is_listed_by_sku(world: World) -> None:
    [shop, _] = await sold(world, shops=2, orders=1)

    async with world.engine.connect() as connection:
        found = await stock_level.stock(connection, shop.merchant)

    [row] = found.rows
    assert (row.merchant, row.sku, row.available) == (shop.merchant, "cup", 999_998)


async def test_merchants_and_customers_are_listed_by_id(world: World) -> None:
    await sold(world, shops=3, orders=1)
    opened = MerchantAccountOpened(merchant=MerchantId("ours"), currency="USD", fee_bps=0)
    await world.append("merchant-ours", opened)
    await world.catch_up()

    async with world.engine.connect() as connection:
        first = await merchant_balance.merchants(connection, limit=3)
        second = await merchant_balance.merchants(connection, limit=3, after=first.next)
        customers = await customer_account.customers(connection)
        currency = await merchant_balance.merchant_currency(connection, "ours")

    assert [row.merchant for row in first.rows] == ["merchant-1", "merchant-2", "merchant-3"]
    assert [row.merchant for row in second.rows] == ["ours"]
    assert second.next is None
    assert [row.customer for row in customers.rows] == ["customer-1", "customer-2", "customer-3"]
    assert currency == "USD"


async def _lags(connection: AsyncConnection) -> dict[str, Lag]:
    return {one.follower: one for one in await lag(connection)}


async def test_lag_counts_the_events_that_were_not_seen(world: World) -> None:
    await sold(world, orders=1)
    async with world.engine.connect() as connection:
        none = await _lags(connection)
    for number in range(5):
        await world.append(f"order-x{number}", placed(OrderId(f"x{number}")))
    async with world.engine.connect() as connection:
        some = await _lags(connection)

    assert set(none) == {one.name for one in HANDRAIL.read_models}
    assert {(one.events, one.seconds, one.parked) for one in none.values()} == {(0, 0, 0)}
    assert {one.events for one in some.values()} == {5}
    assert all(one.seconds > 0 for one in some.values())
    assert {one.unowned for one in some.values()} == {16}


async def test_lag_before_anything_was_read_is_all_there_is(world: World) -> None:
    for number in range(32):
        await world.append(f"order-x{number}", placed(OrderId(f"x{number}")))

    async with world.engine.connect() as connection:
        found = await _lags(connection)

    assert {one.events for one in found.values()} == {32}
    assert all(one.seconds > 0 for one in found.values())


async def test_somebody_who_reads_owns_the_shards(world: World) -> None:
    runner = world.runner(lease=600)
    async with world.pool.connection() as connection, world.engine.connect() as reader:
        await runner.tick(connection)

        assert {one.unowned for one in await lag(reader)} == {0}
