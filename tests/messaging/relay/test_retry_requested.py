"""A retry that was requested over HTTP is done by a relay, which stores what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from handrail.eventstore import retry_requests
from handrail.eventstore.retry_requests import RetryRequest
from handrail.kernel import Attribution
from handrail.messaging.relay.parked_messages import RELAY, name_at, names_at
from handrail.messaging.relay.publisher import NotPublished
from handrail.messaging.relay.retry_requested import retry_requested
from tests.messaging.relay.test_process import running, settings_for
from tests.messaging.relay.test_unroutable import got, holds, ids
from tests.messaging.relay.world import World
from tests.messaging.routed import routed
from tests.projections.world import until

ANN = Attribution("ann", "bound again")
ROUTING = routed()


async def request(world: World, subscriber: str, stream: str = "") -> RetryRequest | None:
    engine = create_async_engine(
        make_url(world.url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    try:
        async with engine.connect() as connection:
            parked_at = names_at(ROUTING.exchanges) if subscriber == RELAY else [subscriber]
            return await retry_requests.request(connection, subscriber, stream, ANN, parked_at)
    finally:
        await engine.dispose()


async def outcomes(world: World) -> list[tuple[Any, ...]]:
    return await world.rows(
        "SELECT subscriber, stream, handled, stopped_by FROM retry_requests"
        " WHERE settled_at IS NOT NULL ORDER BY subscriber, stream"
    )


async def two_streams_wait_for_money(world: World) -> None:
    await world.broker.unbind("money")
    await holds(world, "ann", 2)
    await holds(world, "bob", 1)
    await world.catch_up()
    assert len(await world.parked()) == 3


async def test_one_stream_is_published_and_the_other_waits_on(world: World) -> None:
    await two_streams_wait_for_money(world)
    assert await request(world, name_at("money"), "credit-ann")
    await world.broker.bind("money")

    assert await retry_requested(world.pool, world.publisher, ROUTING) == 1

    assert await got(world, "money") == ids("ann", 2)
    assert await world.parked() == [("relay/money", "credit-bob", 1)]
    assert await outcomes(world) == [("relay/money", "credit-ann", 2, "")]


async def test_all_that_waits_is_published(world: World) -> None:
    await two_streams_wait_for_money(world)
    assert await request(world, RELAY)
    await world.broker.bind("money")

    await retry_requested(world.pool, world.publisher, ROUTING)

    assert await world.parked() == []
    assert await outcomes(world) == [(RELAY, "", 3, "")]


async def test_a_retry_in_vain_says_how_many_streams_wait_and_why(world: World) -> None:
    await two_streams_wait_for_money(world)
    assert await request(world, RELAY)

    await retry_requested(world.pool, world.publisher, ROUTING)

    [(_, _, handled, stopped_by)] = await outcomes(world)
    assert handled == 0
    assert stopped_by.startswith("streams that still wait: 2; credit-")
    assert "NO_ROUTE" in stopped_by
    assert len(await world.parked()) == 3


async def test_what_is_not_parked_cannot_be_requested(world: World) -> None:
    assert await request(world, name_at("money"), "credit-ann") is None
    assert await world.rows("SELECT FROM retry_requests") == []


async def test_a_request_stays_where_the_broker_goes_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_streams_wait_for_money(world)
    assert await request(world, RELAY)

    async def gone(*_: Any) -> str | None:
        raise NotPublished("the broker is away")

    with monkeypatch.context() as away:
        away.setattr(type(world.publisher), "publish", gone)
        with pytest.raises(NotPublished):
            await retry_requested(world.pool, world.publisher, ROUTING)
    assert await outcomes(world) == []
    await world.broker.bind("money")

    await retry_requested(world.pool, world.publisher, ROUTING)

    assert await outcomes(world) == [(RELAY, "", 3, "")]


async def test_a_relay_process_does_it(world: World) -> None:
    await two_streams_wait_for_money(world)
    assert await request(world, RELAY)
    await world.broker.bind("money")

    async def done() -> bool:
        return bool(await outcomes(world))

    async with running(settings_for(world)):
        await until(done)

    assert await outcomes(world) == [(RELAY, "", 3, "")]
    assert await world.parked() == []
