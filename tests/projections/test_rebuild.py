"""A read model is built anew beside the one in use, while events keep coming."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Text

from domain.identifiers import OrderId
from domain.settlement.events import PayableAccrued
from handrail.eventstore.subscriptions.registration import enroll
from handrail.projections.install import Installed, VersionForgotten, install
from handrail.projections.projection import Happened, Projection
from handrail.projections.rebuild import UnknownReadModel, finish, pending, rebuild, start
from projections import merchant_balance, order_status
from projections.merchant_balance import MerchantBalance
from runtime.app import HANDRAIL
from tests.projections.stories import Shop, Told
from tests.projections.world import ROLE, Projections, World, until

BALANCE = merchant_balance.PROJECTION
MODELS = HANDRAIL.read_models
ORDERS = order_status.PROJECTION


@dataclass(frozen=True, kw_only=True)
class GreetedBalance(MerchantBalance):
    """The next version has a column more."""

    greeting: str = "none"


def greeted(row: GreetedBalance | None, happened: Happened) -> GreetedBalance:
    after = merchant_balance.evolve(row, happened)
    plain = {name: getattr(after, name) for name in BALANCE.columns}
    return GreetedBalance(**plain, greeting=f"hello {after.merchant}")


TABLE = BALANCE.table.to_metadata(MetaData())
TABLE.append_column(Column("greeting", Text, nullable=False))
SECOND: Projection[Any] = Projection(
    name=BALANCE.name,
    version=BALANCE.version + 1,
    row=GreetedBalance,
    table=TABLE,
    categories=BALANCE.categories,
    handles=BALANCE.handles,
    evolve=greeted,
)


async def tell(world: World, story: Iterable[Told]) -> None:
    for stream, events in story:
        await world.append(stream, *events)


async def rebuilt(
    url: str, role: str, name: str, projections: Projections = HANDRAIL.read_models
) -> None:
    async with asyncio.timeout(60):
        await rebuild(url, role, [name], projections)


async def oid(world: World, table: str) -> int:
    return int(await world.value("SELECT to_regclass(:name)::oid::bigint", name=table))


async def version(world: World, name: str) -> int | None:
    found = await world.sql("SELECT version FROM read_models WHERE name = :name", name=name)
    return found[0][0] if found else None


async def tables(world: World) -> list[str]:
    found = await world.sql(
        "SELECT relname FROM pg_class WHERE relname LIKE 'merchant_balance%' ORDER BY 1"
    )
    return [name for (name,) in found]


@pytest.mark.thorough
async def test_a_rebuild_ends_with_the_same_rows_in_another_table(world: World) -> None:
    shop = Shop()
    await tell(world, [*shop.opens(), *shop.sells(OrderId("1"))])
    await world.catch_up()
    before, names = await oid(world, "order_status"), await index_names(world)

    async with world.running(world.runner()):
        await rebuilt(world.url, ROLE, "order_status")

    assert await oid(world, "order_status") != before
    assert await index_names(world) == names
    assert await world.rows(ORDERS) == await world.folded(ORDERS)
    assert await world.value("SELECT count(*) FROM checkpoints WHERE projection ~ '__next'") == 0
    assert pending(world.url) == []


async def index_names(world: World) -> list[Any]:
    return await world.sql(
        "SELECT indexname FROM pg_indexes WHERE tablename = 'order_status' ORDER BY 1"
    )


@pytest.mark.thorough
async def test_a_rebuild_while_events_keep_coming_loses_and_doubles_none(world: World) -> None:
    shop = Shop()
    await tell(world, shop.opens())
    for number in range(3):
        await tell(world, shop.sells(OrderId(f"before{number}")))
    stop = asyncio.Event()

    async def sell() -> None:
        for number in count():
            if stop.is_set():
                return
            await tell(world, shop.sells(OrderId(f"during{number}")))

    async with world.running(world.runner(page=30), world.runner(page=30)):
        selling = asyncio.create_task(sell())
        await rebuilt(world.url, ROLE, "merchant_balance")
        await rebuilt(world.url, ROLE, "order_status")
        stop.set()
        await selling
        for projection in HANDRAIL.read_models:
            await until(lambda name=projection.name: world.seen_all(name))  # type: ignore[misc]

    for projection in HANDRAIL.read_models:
        assert await world.rows(projection) == await world.folded(projection), projection.name


async def test_readers_see_the_old_rows_until_the_exchange(world: World) -> None:
    shop = Shop()
    await tell(world, [*shop.opens(), *shop.sells(OrderId("1"))])
    await world.catch_up()
    old = await world.rows(BALANCE)

    await asyncio.to_thread(start, world.url, ROLE, ["merchant_balance"], MODELS)

    assert await world.rows(BALANCE) == old
    assert await world.rows(BALANCE, "merchant_balance__next") == {}
    assert not await asyncio.to_thread(finish, world.url, "merchant_balance", MODELS)
    await world.catch_up()
    assert await world.rows(BALANCE, "merchant_balance__next") == old
    assert await asyncio.to_thread(finish, world.url, "merchant_balance", MODELS)
    assert await world.rows(BALANCE) == old


@pytest.mark.thorough
async def test_an_exchange_waits_until_the_new_one_has_seen_what_the_old_one_has(
    world: World,
) -> None:
    shop = Shop()
    await tell(world, [*shop.opens(), *shop.sells(OrderId("1"))])
    await asyncio.to_thread(start, world.url, ROLE, ["merchant_balance"], MODELS)
    await world.catch_up()
    await world.sql(
        "UPDATE checkpoints SET owner = 'nobody', leased_until = 'infinity'"
        " WHERE projection = 'merchant_balance__next'"
    )
    await tell(world, shop.sells(OrderId("2")))
    await world.catch_up()

    assert not await asyncio.to_thread(finish, world.url, "merchant_balance", MODELS)

    [(rows, owners)] = await world.sql(
        "SELECT count(*), count(owner) FROM checkpoints WHERE projection = 'merchant_balance'"
    )
    assert (rows, owners) == (16, 0)  # it gave back what it had frozen
    assert await world.rows(BALANCE) == await world.folded(BALANCE)


@pytest.mark.thorough
async def test_a_rebuild_that_was_interrupted_goes_on_where_it_was(world: World) -> None:
    shop = Shop()
    await tell(world, [*shop.opens(), *shop.sells(OrderId("1"))])
    await asyncio.to_thread(start, world.url, ROLE, ["merchant_balance"], MODELS)
    await world.catch_up()
    half = await oid(world, "merchant_balance__next")

    async with world.running(world.runner()):
        await rebuilt(world.url, ROLE, "merchant_balance")

    assert await oid(world, "merchant_balance") == half


@pytest.mark.thorough
async def test_who_still_works_on_the_old_table_cannot_write_after_the_exchange(
    world: World,
) -> None:
    shop = Shop()
    await tell(world, shop.opens())
    old = world.runner([BALANCE], lease=600)
    async with world.pool.connection() as connection:
        await old.tick(connection)
        await asyncio.to_thread(start, world.url, ROLE, ["merchant_balance"], MODELS)
        await tell(world, shop.sells(OrderId("1")))
        await world.sql("UPDATE checkpoints SET leased_until = clock_timestamp()")
        await world.catch_up()
        await world.sql(
            "UPDATE checkpoints SET revision = :known WHERE projection = 'merchant_balance__next'",
            known=old._mine["merchant_balance", 0].revision,
        )
        assert await asyncio.to_thread(finish, world.url, "merchant_balance", MODELS)

        assert any(await old.tick(connection))

    assert await world.rows(BALANCE) == await world.folded(BALANCE)


async def test_a_new_version_is_built_beside_the_old_one_and_takes_its_place(
    world: World,
) -> None:
    shop = Shop()
    await tell(world, [*shop.opens(), *shop.sells(OrderId("1"))])
    newer = [SECOND, ORDERS]

    async with world.running(world.runner([BALANCE, ORDERS], owner="old")):
        await until(lambda: world.seen_all("merchant_balance"))
        installed = await asyncio.to_thread(install, world.url, ROLE, newer)
        assert installed.being_built == ["merchant_balance"]
        async with world.running(world.runner(newer, owner="new")):
            await tell(world, shop.sells(OrderId("2")))
            await until(lambda: world.seen_all("merchant_balance"))  # by the old process
            assert await world.rows(BALANCE) == await world.folded(BALANCE)
            await rebuilt(world.url, ROLE, "merchant_balance", newer)
            await tell(world, shop.sells(OrderId("3")))
            await until(lambda: world.seen_all("merchant_balance"))  # by the new one

    assert await world.rows(SECOND) == await world.folded(SECOND)
    assert await version(world, "merchant_balance") == SECOND.version
    assert await version(world, "merchant_balance__next") is None


async def test_a_rebuild_of_a_version_that_is_no_longer_wanted_begins_anew(world: World) -> None:
    await asyncio.to_thread(start, world.url, ROLE, ["merchant_balance"], MODELS)
    first = await oid(world, "merchant_balance__next")

    await asyncio.to_thread(start, world.url, ROLE, ["merchant_balance"], [SECOND])

    assert await oid(world, "merchant_balance__next") != first
    assert await version(world, "merchant_balance__next") == SECOND.version


@pytest.mark.thorough
async def test_a_bug_is_mended_by_a_rebuild_and_its_parked_events_are_gone(world: World) -> None:
    def buggy(row: MerchantBalance | None, happened: Happened) -> MerchantBalance:
        if isinstance(happened.event, PayableAccrued):
            raise ZeroDivisionError
        return merchant_balance.evolve(row, happened)

    shop = Shop()
    await tell(world, [*shop.opens(), *shop.sells(OrderId("1"))])
    await world.catch_up([replace(BALANCE, evolve=buggy)])
    assert await world.value("SELECT count(*) FROM parked_events") == 1
    await asyncio.to_thread(start, world.url, ROLE, ["merchant_balance"], MODELS)
    await world.catch_up()

    assert await asyncio.to_thread(finish, world.url, "merchant_balance", MODELS)

    assert await world.rows(BALANCE) == await world.folded(BALANCE)
    assert await world.value("SELECT count(*) FROM parked_events") == 0


async def test_what_parks_during_a_rebuild_is_still_parked_afterwards(world: World) -> None:
    def buggy(row: MerchantBalance | None, happened: Happened) -> MerchantBalance:
        raise ZeroDivisionError

    await tell(world, Shop().opens())
    await world.catch_up()
    await asyncio.to_thread(start, world.url, ROLE, ["merchant_balance"], MODELS)
    await world.catch_up([replace(BALANCE, evolve=buggy)])

    assert await asyncio.to_thread(finish, world.url, "merchant_balance", MODELS)

    [(name, stream)] = await world.sql("SELECT projection, stream FROM parked_events")
    assert (name, stream) == ("merchant_balance", "merchant-merchant-1")
    assert (await world.retry(name, stream)).applied == 1
    assert await world.rows(BALANCE) == await world.folded(BALANCE)


async def test_an_unknown_read_model_cannot_be_rebuilt(world: World) -> None:
    with pytest.raises(UnknownReadModel, match=r"weather: not one of .*merchant_balance"):
        await rebuilt(world.url, ROLE, "weather")


async def test_installing_twice_changes_nothing(world: World) -> None:
    await tell(world, Shop().opens())
    await world.catch_up()
    before = await world.sql("SELECT * FROM checkpoints ORDER BY projection, shard")

    assert await asyncio.to_thread(install, world.url, ROLE, MODELS) == Installed()

    assert await world.sql("SELECT * FROM checkpoints ORDER BY projection, shard") == before


async def test_other_columns_without_another_version_are_noticed(world: World) -> None:
    with pytest.raises(VersionForgotten, match="greeting"):
        await asyncio.to_thread(
            install, world.url, ROLE, [replace(SECOND, version=BALANCE.version)]
        )


async def test_what_nobody_knows_any_more_is_reported(world: World) -> None:
    async with world.pool.connection() as connection:
        for name in ("relay", "consumer/forgotten"):
            await enroll(connection, name)

    installed = await asyncio.to_thread(install, world.url, ROLE, [ORDERS], ["relay"])

    assert installed.unknown == sorted(
        {"consumer/forgotten", *(one.name for one in HANDRAIL.read_models)} - {ORDERS.name}
    )


async def test_the_application_may_not_change_tables(world: World) -> None:
    async with world.pool.connection() as connection:
        for table in ("order_status", "followers"):
            found = await connection.execute(
                "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = %s", (table,)
            )
            assert await found.fetchone() != (ROLE,)
        found = await connection.execute(
            "SELECT has_table_privilege('read_models', 'UPDATE'), current_user"
        )
        assert await found.fetchone() == (False, ROLE)
