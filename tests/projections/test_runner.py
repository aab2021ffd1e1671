"""Each event is applied once, whoever applies it and whatever happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from itertools import chain
from typing import Any

import psycopg
import pytest

from domain.identifiers import OrderId
from handrail.eventstore.pool import Connection, open_pool
from handrail.eventstore.store import SHARDS
from handrail.eventstore.subscriptions.page_handler import Handled
from handrail.projections.apply_page import apply_page
from handrail.projections.projector import Runner
from projections import merchant_balance, stock_level
from runtime.app import HANDRAIL
from tests.projections.stories import Shop, Told
from tests.projections.world import ROLE, World, nobody_can_write, stuck, until

BALANCE = merchant_balance.PROJECTION


async def tell(world: World, story: Iterable[Told]) -> None:
    for stream, events in story:
        await world.append(stream, *events)


async def all_rows_are_right(world: World) -> None:
    for projection in HANDRAIL.read_models:
        assert await world.rows(projection) == await world.folded(projection), projection.name


async def everything_is_seen(world: World) -> bool:
    return all([await world.seen_all(one.name) for one in HANDRAIL.read_models])


def checkouts(shop: Shop, count: int, name: str = "o") -> Iterable[Told]:
    for number in range(count):
        order = OrderId(f"{name}{number}")
        yield from shop.is_refused(order) if number % 3 == 0 else shop.sells(order)


async def owners(world: World) -> dict[str | None, int]:
    found = await world.sql(
        "SELECT owner, count(DISTINCT shard) FROM checkpoints"
        " WHERE owner IS NULL OR leased_until > clock_timestamp() GROUP BY owner"
    )
    return {owner: count for owner, count in found}  # noqa: C416


@pytest.mark.thorough
@pytest.mark.parametrize("page", [1, 7, 1000])
async def test_the_read_models_are_the_fold_of_the_events(world: World, page: int) -> None:
    shop = Shop()
    await tell(world, chain(shop.opens(), checkouts(shop, 4)))
    await world.catch_up(page=page)
    await all_rows_are_right(world)

    await tell(world, checkouts(shop, 4, "later"))
    await world.catch_up(page=page)
    await all_rows_are_right(world)


async def test_a_running_projector_keeps_up(world: World) -> None:
    shops = [Shop(number) for number in range(4)]

    async with world.running(world.runner(page=20)):
        await asyncio.gather(
            *(
                tell(world, chain(shop.opens(), checkouts(shop, 4, f"s{number}-")))
                for number, shop in enumerate(shops)
            )
        )
        await until(lambda: everything_is_seen(world))

    await all_rows_are_right(world)


@pytest.mark.thorough
async def test_a_projector_whose_connection_is_cut_in_the_middle_applies_nothing_twice(
    world: World,
) -> None:
    shop, runner = Shop(), world.runner()

    async with world.running(runner):
        await runner.reading.wait()
        async with nobody_can_write(world, "merchant_balance"):
            await tell(world, chain(shop.opens(), checkouts(shop, 3)))
            await until(lambda: _is_stuck(world))
            [pid] = await stuck(world)
            await world.sql("SELECT pg_terminate_backend(:pid)", pid=pid)
            assert not await world.rows(BALANCE)
        await until(lambda: everything_is_seen(world))

    await all_rows_are_right(world)


async def _is_stuck(world: World) -> bool:
    return bool(await stuck(world))


@pytest.mark.thorough
async def test_a_batch_whose_commit_was_not_heard_of_is_not_applied_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = 0

    async def committed_but_not_heard_of(connection: Connection, *page: Any) -> Handled:
        nonlocal cut
        applied = await apply_page(connection, *page)
        if cut == 0:
            cut += 1
            await connection.close()
            raise psycopg.OperationalError("the server closed the connection")
        return applied

    monkeypatch.setattr("handrail.projections.projector.apply_page", committed_but_not_heard_of)
    shop = Shop()
    async with world.running(world.runner(lease=600)):
        await tell(world, chain(shop.opens(), checkouts(shop, 3)))
        await until(lambda: everything_is_seen(world))

    assert cut
    await all_rows_are_right(world)


@pytest.mark.thorough
async def test_a_projector_that_dies_is_taken_over_when_its_lease_runs_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    await tell(world, shop.opens())
    dying, heir = world.runner(owner="dying"), world.runner(owner="heir")
    monkeypatch.setattr(dying, "_leave", asyncio.Event().set)  # it has no time to say goodbye
    task = asyncio.create_task(dying.run(asyncio.Event()))
    await until(lambda: everything_is_seen(world))
    async with nobody_can_write(world, "merchant_balance"):
        await tell(world, checkouts(shop, 3))
        await until(lambda: _is_stuck(world))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await owners(world) == {"dying": SHARDS}

    async def is_taken_over() -> bool:
        """Its share of them first: for a moment the dead one is thought to be alive."""
        return await owners(world) == {"heir": SHARDS}

    async with world.running(heir):
        await until(lambda: everything_is_seen(world))
        await until(is_taken_over)

    await all_rows_are_right(world)


async def test_a_projector_that_stops_lets_others_take_over_at_once(world: World) -> None:
    async with world.running(world.runner(lease=600)):
        await until(lambda: _is_complete(world))

    assert await owners(world) == {None: SHARDS}
    assert await world.value("SELECT count(*) FROM followers") == 0


async def _is_complete(world: World) -> bool:
    return None not in await owners(world)


async def test_a_projector_stops_though_its_lease_is_just_being_renewed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled then, the driver may answer with an error of its own."""
    runner, renewing = world.runner(lease=0.03), asyncio.Event()
    renew = runner._leases.renew

    async def long(connection: Connection) -> None:
        await renew(connection)
        if asyncio.current_task() is not running:
            renewing.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise psycopg.OperationalError("sending cancel request failed") from None

    monkeypatch.setattr(runner._leases, "renew", long)
    stop = asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    async with asyncio.timeout(10):
        await renewing.wait()
        stop.set()
        await running


@pytest.mark.thorough
async def test_three_projectors_share_the_shards_and_apply_each_event_once(world: World) -> None:
    shops = [Shop(number) for number in range(6)]
    runners = [world.runner(owner=name, page=20) for name in "abc"]

    async with world.running(*runners):
        await asyncio.gather(
            *(
                tell(world, chain(shop.opens(), checkouts(shop, 3, f"s{number}-")))
                for number, shop in enumerate(shops)
            )
        )
        await until(lambda: _is_shared(world, {"a": 6, "b": 5, "c": 5}))
        await tell(world, checkouts(shops[0], 3, "later"))
        await until(lambda: everything_is_seen(world))

    await all_rows_are_right(world)


async def _is_shared(world: World, wanted: dict[str, int]) -> bool:
    found = await owners(world)
    return set(found) == set(wanted) and max(found.values()) <= max(wanted.values())


async def test_a_shard_is_read_by_one_process_for_all_projections(world: World) -> None:
    async with world.running(world.runner(owner="a"), world.runner(owner="b")):
        await until(lambda: _is_shared(world, {"a": 8, "b": 8}))

        readers = await world.sql("SELECT shard, count(DISTINCT owner) FROM checkpoints GROUP BY 1")

    assert {count for _, count in readers} == {1}


async def test_a_projector_that_slept_longer_than_its_lease_changes_nothing(world: World) -> None:
    shop = Shop()
    await tell(world, shop.opens())
    sleeper, heir = world.runner(owner="sleeper", lease=600), world.runner(owner="heir")
    async with world.pool.connection() as connection:
        await sleeper.tick(connection)
        assert await owners(world) == {"sleeper": SHARDS}
        await tell(world, checkouts(shop, 3))
        await world.sql("UPDATE checkpoints SET leased_until = clock_timestamp()")
        await heir.tick(connection)
        await heir.tick(connection)
        await all_rows_are_right(world)
        before = await world.sql("SELECT * FROM checkpoints ORDER BY projection, shard")

        assert any(await sleeper.tick(connection)), "it reads on where it fell asleep"

    assert await world.sql("SELECT * FROM checkpoints ORDER BY projection, shard") == before
    await all_rows_are_right(world)


@pytest.mark.thorough
async def test_a_batch_that_takes_longer_than_the_lease_is_not_taken_away(world: World) -> None:
    slow, other = world.runner(owner="slow", lease=0.6), world.runner(owner="other")

    async with world.running(slow):
        await slow.reading.wait()
        async with nobody_can_write(world, "merchant_balance"):
            await tell(world, Shop().opens())
            await until(lambda: _is_stuck(world))
            for _ in range(4):
                await until(_renewal_of(world, await _alive_until(world)))
            async with world.pool.connection() as connection:
                await other.tick(connection)
            assert not other._mine
        await until(lambda: everything_is_seen(world))

    await all_rows_are_right(world)


async def _alive_until(world: World) -> Any:
    return await world.value("SELECT alive_until FROM followers WHERE owner = 'slow'")


def _renewal_of(world: World, before: Any) -> Callable[[], Awaitable[bool]]:
    async def renewed() -> bool:
        return bool(await _alive_until(world) != before)

    return renewed


async def test_the_checkpoint_moves_over_events_that_nobody_handles(world: World) -> None:
    only_stock = [stock_level.PROJECTION]
    await world.catch_up(only_stock)
    shop = Shop()
    await tell(world, shop.opens())
    token = await world.append(*_flat(next(iter(shop.sells(OrderId("1"))))))

    await world.catch_up(only_stock)

    seen = await world.value(
        "SELECT count(*) FROM checkpoints WHERE projection = 'stock_level'"
        " AND pg_visible_in_snapshot(CAST(:token AS xid8), since)",
        token=token,
    )
    assert seen == SHARDS


def _flat(told: Told) -> tuple[Any, ...]:
    stream, events = told
    return (stream, *events)


async def test_idle_projectors_write_nothing(world: World) -> None:
    await tell(world, Shop().opens())
    one, other = world.runner(owner="one", lease=600), world.runner(owner="other", lease=600)
    async with world.pool.connection() as connection:
        await one._leases.renew(connection)
        await other._leases.renew(connection)
        for runner in (one, other, one, other):
            await runner.tick(connection)
        await world.sql("CREATE TABLE somebody_elses ()")  # a transaction that appends nothing
        before = await _rows_written(world, connection)
        for runner in (one, other) * 10:
            await runner.tick(connection)
        after = await _rows_written(world, connection)

    assert await owners(world) == {"one": SHARDS // 2, "other": SHARDS // 2}
    assert after == before


async def _rows_written(world: World, connection: Connection) -> int:
    """Over all tables, as PostgreSQL counts them: it is told at once what the connection did."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    counted = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables"
    return int(await world.value(counted))


async def test_checkpoints_without_events_move_along_for_the_outbox_to_be_pruned(
    world: World,
) -> None:
    one, other = world.runner(owner="one", lease=600), world.runner(owner="other", lease=600)
    async with world.pool.connection() as connection:
        for runner in (one, other):
            await runner._leases.renew(connection)
        for runner in (one, other):
            await runner.tick(connection)
        token = await world.append(*_flat(next(iter(Shop().opens()))))
        for runner in (one, other):
            await runner.tick(connection)

    assert len(one._mine) == len(other._mine) == SHARDS // 2 * len(HANDRAIL.read_models)
    assert await world.value(
        "SELECT bool_and(pg_visible_in_snapshot(CAST(:token AS xid8), since)) FROM checkpoints",
        token=token,
    )


@pytest.mark.thorough
async def test_checkpoints_that_fell_behind_join_the_others_again(world: World) -> None:
    shop, runner = Shop(), world.runner(lease=600)
    await tell(world, chain(shop.opens(), checkouts(shop, 4)))
    await world.catch_up()
    await world.sql("TRUNCATE stock_level")
    await world.sql("UPDATE checkpoints SET since = '1:1:' WHERE projection = 'stock_level'")
    await tell(world, checkouts(shop, 1, "new"))

    async with world.pool.connection() as connection:
        await runner._balance(connection)
        assert len(runner._groups()) == 2
        first, second = await runner.tick(connection)
        assert first
        assert second

    assert len(runner._groups()) == 1
    await all_rows_are_right(world)


@pytest.mark.thorough
async def test_a_read_model_that_cannot_be_written_does_not_hold_up_the_others(
    world: World,
) -> None:
    shop = Shop()
    await world.sql("ALTER TABLE merchant_balance RENAME TO mislaid")

    async with world.running(world.runner()):
        await tell(world, chain(shop.opens(), checkouts(shop, 3)))
        await until(lambda: world.seen_all("saga_board"))
        assert not await world.seen_all("merchant_balance")
        assert await world.value("SELECT count(*) FROM parked_events") == 0
        await world.sql("ALTER TABLE mislaid RENAME TO merchant_balance")
        await until(lambda: everything_is_seen(world))

    await all_rows_are_right(world)


@pytest.mark.thorough
async def test_a_projector_that_is_cut_off_connects_again(database: str, world: World) -> None:
    async with open_pool(database, role=ROLE, size=3, name="cut-off") as pool:
        runner = Runner(pool, HANDRAIL.read_models, HANDRAIL.codec, poll=0.005, lease=1)
        async with world.running(runner):
            await runner.reading.wait()
            await world.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'cut-off'"
            )
            await tell(world, Shop().opens())
            await until(lambda: everything_is_seen(world))

    await all_rows_are_right(world)


async def test_a_process_of_another_version_leaves_the_read_model_alone(world: World) -> None:
    newer = [replace(BALANCE, version=BALANCE.version + 1)]
    await tell(world, Shop().opens())

    await world.catch_up(newer)

    assert not await world.rows(BALANCE)
    assert await world.value("SELECT max(revision) FROM checkpoints") == 0
