"""A promoted standby and a restored dump are other stores, until somebody has decided on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from domain.identifiers import OrderId
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.identity import OtherStore, Standby
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import EventStore, VersionConflict
from handrail.eventstore.subscriptions.lag import lag
from handrail.eventstore.tokens import NotYetSeen, TokenOfAnotherEpoch, wait_until_seen
from handrail.projections.rebuild import rebuild
from runtime.app import HANDRAIL
from tests.projections.stories import Shop
from tests.projections.world import World, a_world
from tests.servers.postgres import (
    ROLE,
    a_server,
    a_standby,
    cut_off,
    dump,
    fail_over,
    migrated,
    restore,
    sql,
    use_numbers,
    value,
    whoever_writes,
)

pytestmark = pytest.mark.thorough

ADOPT = "SELECT adopt_store('the tests say so', 'tests')"
ORDERS = 'SELECT "order" FROM order_status ORDER BY 1'


async def _sells(world: World, shop: Shop, order: str) -> str:
    """Answers the last token."""
    token = ""
    for stream, events in shop.sells(OrderId(order)):
        token = await world.append(stream, *events)
    return token


async def _orders(url: str) -> list[str]:
    return [order for (order,) in await sql(url, ORDERS)]


@dataclass(frozen=True)
class Pair:
    primary: EmbeddedPostgres
    standby: EmbeddedPostgres
    shop: Shop
    token: str


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """A primary with one order, and a standby that has it too."""
    async with a_server(tmp_path / "primary") as primary:
        await migrated(primary)
        async with a_world(primary.url) as world:
            shop = Shop()
            for stream, events in shop.opens():
                await world.append(stream, *events)
            token = await _sells(world, shop, "before")
            await world.catch_up()
        async with a_standby(primary, tmp_path / "standby") as standby:
            yield Pair(primary, standby, shop, token)


async def _epochs(url: str) -> list[tuple[int, int, bool]]:
    found = await sql(url, "SELECT epoch, timeline, renumbered FROM store_epochs ORDER BY epoch")
    return [(epoch, timeline, renumbered) for epoch, timeline, renumbered in found]


async def test_nobody_gets_a_connection_to_a_promoted_standby_until_it_was_adopted(
    pair: Pair,
) -> None:
    url = whoever_writes(pair.primary, pair.standby)
    async with open_pool(url, role=ROLE, size=2) as pool:
        async with pool.connection():
            pass
        await fail_over(pair.primary, pair.standby)
        for _ in range(2):
            with pytest.raises(OtherStore, match=r"timeline 2.*timeline 1.*handrail restore check"):
                await _ask(pool)

        await sql(pair.standby.url, ADOPT)

        assert await _ask(pool) == 1
    assert await _epochs(pair.standby.url) == [(1, 1, False), (2, 2, False)]


async def _ask(pool: Pool) -> int:
    """Asks until no connection is left that has gone with the server it was made to."""
    async with asyncio.timeout(20):
        while True:
            try:
                async with pool.connection() as connection:
                    [(found,)] = await (await connection.execute("SELECT 1")).fetchall()
                    return int(found)
            except OtherStore:
                raise
            except Exception:  # noqa: BLE001  # the next connection is a new one
                await asyncio.sleep(0.01)


async def test_the_first_who_may_adopts_a_new_timeline_and_all_others_go_on(pair: Pair) -> None:
    await fail_over(pair.primary, pair.standby)

    async def asks() -> int:
        async with open_pool(
            pair.standby.url, role=ROLE, size=1, new_timeline="adopt", name="worker"
        ) as pool:
            return await _ask(pool)

    assert await asyncio.gather(*(asks() for _ in range(8))) == [1] * 8
    [(epoch, by)] = await sql(
        pair.standby.url, "SELECT epoch, decided_by FROM store_epochs WHERE epoch > 1"
    )
    assert epoch == 2
    assert by.startswith("worker at ")


async def test_a_standby_gives_no_connection_and_the_primary_it_becomes_does(pair: Pair) -> None:
    async with open_pool(pair.standby.url, role=ROLE, size=1, new_timeline="adopt") as pool:
        with pytest.raises(Standby, match="the server is a standby"):
            await _ask_once(pool)

        await fail_over(pair.primary, pair.standby)

        assert await _ask(pool) == 1


async def _ask_once(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute("SELECT 1")


async def test_positions_and_epochs_that_were_lost_with_a_server_are_not_given_out_again(
    tmp_path: Path,
) -> None:
    """A dump is restored that was made before a failover, and before what was written after it."""
    async with a_server(tmp_path / "old") as old:
        await migrated(old)
        shop = Shop()
        async with a_world(old.url) as world:
            for stream, events in shop.opens():
                await world.append(stream, *events)
        dumped = await dump(old, tmp_path / "handrail.dump")
        await sql(old.url, ADOPT)
        async with a_world(old.url) as world:
            await _sells(world, shop, "lost")
        lost = await value(old.url, "SELECT max(position) FROM events")
    async with a_server(tmp_path / "new") as new:
        await restore(dumped, new)
        await sql(new.url, "SELECT begin_epoch('the tests say so', 'tests', 2)")
        first = await value(new.url, "SELECT max(first_position) FROM store_epochs")
        async with a_world(new.url) as world:
            token = await _sells(world, Shop(), "after")
            await world.catch_up()

        assert first > lost
        assert [epoch for epoch, _, _ in await _epochs(new.url)] == [1, 3]
        assert token.startswith("3-")
        assert await _orders(new.url) == ["after"]


async def test_what_was_written_after_a_failover_is_read_and_has_positions_of_its_own(
    pair: Pair,
) -> None:
    """The standby missed what the cluster did last, so that it gives the same numbers out."""
    url = whoever_writes(pair.primary, pair.standby)
    async with a_world(pair.primary.url) as old:
        await cut_off(pair.standby)
        lost = await _sells(old, pair.shop, "lost")
        [(positions,)] = await old.sql("SELECT max(position) FROM events")
        await use_numbers(pair.primary.url, 100)
        await old.catch_up()
    await fail_over(pair.primary, pair.standby)
    await sql(pair.standby.url, ADOPT)

    async with a_world(url) as world:
        token = await _sells(world, Shop(2), "after")
        await world.catch_up()

        assert await _orders(pair.standby.url) == ["after", "before"]
        await wait_until_seen(world.engine, "order_status", token, id_="after", timeout=0.1)
        for old_token in (pair.token, lost):
            with pytest.raises(TokenOfAnotherEpoch, match="given in epoch 1"):
                await wait_until_seen(world.engine, "order_status", old_token, timeout=0.1)
        assert token.startswith("2-")
        assert await world.value(
            "SELECT min(position) FROM events WHERE stream = 'order-after'"
        ) > (positions + 10_000_000)


async def test_a_worker_forgets_what_it_remembers_of_a_stream_that_was_lost(pair: Pair) -> None:
    url = whoever_writes(pair.primary, pair.standby)
    async with open_pool(url, role=ROLE, size=1) as pool:
        store = EventStore(pool, HANDRAIL.codec)
        before = await store.load({"order-before": 0})
        await fail_over(pair.primary, pair.standby)
        await sql(pair.standby.url, ADOPT)
        await _ask(pool)

        after = await store.load({"order-before": 0})
        seen = before["order-before"].version
        with pytest.raises(VersionConflict, match="read in epoch 1"):
            await store.append([("order-before", seen, ())], epoch=1)
        await store.append([("order-before", seen, ())], epoch=2)

    assert before["order-before"].epoch == 1
    assert after["order-before"].epoch == store.epoch == 2


@asynccontextmanager
async def _restored(
    tmp_path: Path, numbers: int = 3000
) -> AsyncIterator[tuple[EmbeddedPostgres, Shop]]:
    """A dump of a cluster that has lived, in one that has not. Its projectors have read an order,
    and not the next one.
    """
    async with a_server(tmp_path / "old") as old:
        await migrated(old)
        await use_numbers(old.url, numbers)
        async with a_world(old.url) as world:
            shop = Shop()
            for stream, events in shop.opens():
                await world.append(stream, *events)
            await _sells(world, shop, "read")
            await world.catch_up()
            await _sells(world, shop, "unread")
        dumped = await dump(old, tmp_path / "handrail.dump")
    async with a_server(tmp_path / "new") as new:
        await restore(dumped, new)
        yield new, shop


async def test_a_restored_dump_is_refused(tmp_path: Path) -> None:
    async with _restored(tmp_path) as (server, _):
        async with open_pool(server.url, role=ROLE, size=1) as pool:
            with pytest.raises(OtherStore, match="handrail restore check"):
                await _ask_once(pool)
        with pytest.raises(OtherStore, match="handrail restore check"):
            await migrated(server)
        async with open_pool(server.url, role=ROLE, size=1, new_timeline="adopt") as pool:
            with pytest.raises(OtherStore):
                await _ask_once(pool)
        assert [epoch for epoch, _, _ in await _epochs(server.url)] == [1]


async def test_a_restored_dump_that_was_adopted_is_read_on_from_where_it_was(
    tmp_path: Path,
) -> None:
    async with _restored(tmp_path) as (server, shop):
        await sql(server.url, ADOPT)
        await migrated(server)
        async with a_world(server.url) as world:
            token = await _sells(world, shop, "new")
            with pytest.raises(NotYetSeen):
                await wait_until_seen(world.engine, "order_status", token, id_="new", timeout=0.1)
            async with world.engine.connect() as connection:
                assert all(one.events > 0 for one in await lag(connection))
            runner = world.runner()
            async with world.running(runner):
                await wait_until_seen(world.engine, "order_status", token, timeout=10)
                assert await _orders(server.url) == ["new", "read", "unread"]
                await asyncio.wait_for(
                    rebuild(
                        server.url,
                        ROLE,
                        [one.name for one in HANDRAIL.read_models],
                        HANDRAIL.read_models,
                    ),
                    30,
                )
            assert await _orders(server.url) == ["new", "read", "unread"]
            assert await world.value("SELECT count(*) FROM parked_events") == 0
            for projection in HANDRAIL.read_models:
                assert await world.rows(projection) == await world.folded(projection)


async def test_a_rebuild_that_was_under_way_when_it_was_dumped_goes_on(tmp_path: Path) -> None:
    async with a_server(tmp_path / "old") as old:
        await migrated(old)
        await use_numbers(old.url, 3000)
        async with a_world(old.url) as world:
            shop = Shop()
            for stream, events in shop.opens():
                await world.append(stream, *events)
            await _sells(world, shop, "first")
            runner = world.runner(page=7, lease=600)
            async with world.pool.connection() as connection:
                await runner.tick(connection)
            await _sells(world, shop, "second")
        dumped = await dump(old, tmp_path / "handrail.dump")
    async with a_server(tmp_path / "new") as new:
        await restore(dumped, new)
        await sql(new.url, ADOPT)
        async with a_world(new.url) as world:
            await _sells(world, shop, "third")
            await world.catch_up()
            for projection in HANDRAIL.read_models:
                assert await world.rows(projection) == await world.folded(projection)
            assert await world.value("SELECT count(*) FROM parked_events") == 0


async def test_a_step_that_was_done_before_the_dump_is_answered_with_a_token_that_can_be_waited_for(
    tmp_path: Path,
) -> None:
    async with _restored(tmp_path) as (server, _):
        await sql(server.url, ADOPT)
        engine = create_async_engine(make_url(server.url).set(drivername="postgresql+psycopg"))
        async with a_world(server.url) as world:
            await world.catch_up()
            token = await value(server.url, "SELECT store_token(max(txid)) FROM events")
            await wait_until_seen(engine, "order_status", token, timeout=0.1)
        await engine.dispose()


async def test_what_was_dumped_before_there_were_epochs_is_not_taken_for_a_store_of_this_server(
    tmp_path: Path,
) -> None:
    async with a_server(tmp_path / "old") as old:
        await migrated(old)
        await use_numbers(old.url, 3000)
        async with a_world(old.url) as world:
            for stream, events in Shop().opens():
                await world.append(stream, *events)
            await world.catch_up()
        await sql(old.url, "TRUNCATE store_epochs")
        await sql(old.url, "DROP FUNCTION store_identity")
        dumped = await dump(old, tmp_path / "handrail.dump")
    async with a_server(tmp_path / "new") as new:
        await restore(dumped, new)
        with pytest.raises(OtherStore, match="a server that nobody knows"):
            await migrated(new)
        async with open_pool(new.url, role=ROLE, size=1) as pool:
            with pytest.raises(OtherStore, match="a server that nobody knows"):
                await _ask_once(pool)
