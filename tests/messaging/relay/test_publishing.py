"""Every event goes to every exchange it belongs to, once, in the order of its stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest

from domain.identifiers import OrderId
from handrail.messaging.relay.publisher import Publisher
from tests.messaging.relay.world import (
    EXCHANGES,
    HOME,
    World,
    first_of_each,
    held,
    in_order,
)
from tests.projections.stories import Shop, Told
from tests.projections.world import until
from tests.statements import statements_of


async def tell(world: World, story: Iterable[Told]) -> None:
    for stream, events in story:
        await world.append(stream, *events)


def checkouts(shop: Shop, count: int, name: str = "o") -> Iterable[Told]:
    for number in range(count):
        order = OrderId(f"{name}{number}")
        yield from shop.is_refused(order) if number % 3 == 0 else shop.sells(order)


async def every_exchange_got_its_events(world: World, *, again: bool = False) -> None:
    """With `again`, some may have come more than once."""
    wanted = await world.published_to()
    for exchange in EXCHANGES:
        got = await world.broker.read(exchange)
        once = first_of_each(got)
        assert again or len(got) == len(once), exchange
        assert sorted(one.id for one in once) == sorted(wanted[exchange]), exchange
        assert in_order(once), exchange


@pytest.mark.quick(1)
@pytest.mark.parametrize("page", [1, 7, 1000])
async def test_each_event_is_published_once_and_in_order(world: World, page: int) -> None:
    shop = Shop()
    await tell(world, chain(shop.opens(), checkouts(shop, 3)))
    await world.catch_up(page=page)
    await tell(world, checkouts(shop, 3, "later"))
    await world.catch_up(page=page)

    await every_exchange_got_its_events(world)


@pytest.mark.thorough
async def test_a_relay_keeps_up_with_many_writers(world: World) -> None:
    shops = [Shop(number) for number in range(6)]

    async with world.running(world.follower(page=30)):
        await asyncio.gather(
            *(
                tell(world, chain(shop.opens(), checkouts(shop, 4, f"s{number}-")))
                for number, shop in enumerate(shops)
            )
        )
        await until(world.seen_all)

    await every_exchange_got_its_events(world)


async def test_a_message_survives_the_broker_and_says_what_it_is(world: World) -> None:
    await world.append("credit-ann", held("ann", "1"))
    await world.catch_up()

    [got] = await world.broker.read("money")

    assert (got.id, got.key) == ("credit-ann/1", "credit.CreditHeld.v1")
    assert got.persistent


async def test_the_next_event_of_a_stream_goes_out_when_the_one_before_is_confirmed(
    world: World,
) -> None:
    on_their_way: dict[tuple[str, str], int] = {}
    most: dict[tuple[str, str], int] = {}
    at_once = 0

    class Watched(Publisher):
        async def publish(self, exchange: str, message: Any) -> str:
            nonlocal at_once
            place = (exchange, message.properties.message_id.rpartition("/")[0])
            on_their_way[place] = on_their_way.get(place, 0) + 1
            most[place] = max(most.get(place, 0), on_their_way[place])
            at_once = max(at_once, sum(on_their_way.values()))
            try:
                return await super().publish(exchange, message)
            finally:
                on_their_way[place] -= 1

    for number in range(60):
        await world.append(f"credit-{number % 6}", held(str(number % 6), str(number)))
    async with Watched(world.broker.amqp, HOME) as publisher:
        await world.follower(publisher).catch_up()

    assert set(most.values()) == {1}
    assert at_once == 6 * 2, "those of other streams and to other exchanges go out meanwhile"
    await every_exchange_got_its_events(world)


async def test_two_relays_share_the_shards_and_publish_each_event_once(world: World) -> None:
    shops = [Shop(number) for number in range(6)]

    async with (
        Publisher(world.broker.amqp, HOME) as other,
        world.running(
            world.follower(owner="a", page=20), world.follower(other, owner="b", page=20)
        ),
    ):
        await until(lambda: _is_shared(world))
        await asyncio.gather(
            *(
                tell(world, chain(shop.opens(), checkouts(shop, 3, f"s{number}-")))
                for number, shop in enumerate(shops)
            )
        )
        await until(world.seen_all)

    assert world.publisher.counted.confirmed
    assert other.counted.confirmed
    await every_exchange_got_its_events(world)


async def _is_shared(world: World) -> bool:
    found = await world.rows(
        "SELECT owner, count(*) FROM checkpoints WHERE owner IS NOT NULL GROUP BY owner ORDER BY 1"
    )
    return found == [("a", 8), ("b", 8)]


async def test_a_relay_that_stops_hands_over_at_once(world: World) -> None:
    shop = Shop()
    async with world.running(world.follower(owner="first", lease=600)):
        await tell(world, chain(shop.opens(), checkouts(shop, 2)))
        await until(world.seen_all)

    async with Publisher(world.broker.amqp, HOME) as other:
        async with world.running(world.follower(other, owner="second", lease=600)):
            await tell(world, checkouts(shop, 2, "later"))
            await until(world.seen_all)

        assert other.counted.confirmed
    await every_exchange_got_its_events(world)


async def test_a_relay_that_slept_longer_than_its_lease_repeats_events_and_leaves_none_out(
    world: World,
) -> None:
    shop = Shop()
    await tell(world, chain(shop.opens(), checkouts(shop, 1)))
    sleeper = world.follower(owner="sleeper", lease=600, page=10)
    async with Publisher(world.broker.amqp, HOME) as other, world.pool.connection() as connection:
        heir = world.follower(other, owner="heir", lease=600, page=10)
        await sleeper.tick(connection)
        await world.rows("UPDATE checkpoints SET leased_until = clock_timestamp()")
        await tell(world, checkouts(shop, 2, "later"))
        while any(await heir.tick(connection)):
            pass
        before = await world.rows("SELECT * FROM checkpoints ORDER BY shard")
        published = world.publisher.counted.confirmed

        assert any(await sleeper.tick(connection)), "it reads on where it fell asleep"

        assert world.publisher.counted.confirmed > published, "and publishes that once more"
        assert await world.rows("SELECT * FROM checkpoints ORDER BY shard") == before
    await every_exchange_got_its_events(world, again=True)


async def test_what_was_confirmed_is_not_sent_again_when_the_database_goes_away(
    world: World,
) -> None:
    follower = world.follower(lease=600)
    await tell(world, Shop().opens())

    async with world.running(follower):
        await follower.reading.wait()
        async with world.pool.connection() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE checkpoints IN EXCLUSIVE MODE")
            await tell(world, checkouts(Shop(), 2))
            [pid] = await until_found(
                world,
                "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND query LIKE '%UPDATE checkpoints AS c SET since%'",
            )
            await world.rows("SELECT pg_terminate_backend(%s)", pid)
        await until(world.seen_all)

    await every_exchange_got_its_events(world)


async def until_found(world: World, query: str) -> Any:
    found: list[Any] = []

    async def is_found() -> bool:
        found[:] = await world.rows(query)
        return bool(found)

    await until(is_found)
    return found[0]


@pytest.fixture
def statements(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return statements_of(world.url, monkeypatch)


async def test_a_page_is_three_statements_however_many_events_it_has(
    world: World, statements: list[str]
) -> None:
    """Read it, ask what waits, move the checkpoints."""
    follower = world.follower(lease=600)
    async with world.pool.connection() as connection:
        await follower.tick(connection)
        costs = []
        for count in (1, 200):
            for number in range(count):
                await world.append(f"credit-{number % 20}", held(str(number % 20), str(number)))
            statements.clear()
            assert sum(await follower.tick(connection)) == count
            costs.append(len(statements))

    assert costs == [3, 3]
