"""An event that a relay does not know waits for a relay that does, and is not parked."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.eventstore import newer_code_waits
from handrail.eventstore.codec import Codec
from handrail.eventstore.newer_code_decisions import decide
from handrail.eventstore.newer_code_waits import Waits
from handrail.eventstore.store import shard_of
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.evolution.changes import NewVersion
from handrail.kernel import Attribution, Event
from handrail.messaging.relay.parked_messages import RELAY
from handrail.messaging.relay.retry_readable import retry_readable
from runtime.app import HANDRAIL
from tests.messaging.relay.test_unroutable import got, holds, ids
from tests.messaging.relay.world import World, held
from tests.messaging.routed import routed
from tests.projections.world import until


@dataclass(frozen=True, kw_only=True)
class CreditThawed(Event):
    """Of a newer deployment than the relay's."""

    customer: str


NEW = Codec.of((*HANDRAIL.codec.classes.values(), CreditThawed), [NewVersion("CreditHeld", 2, ())])
ROUTED = routed(CreditThawed="credit")
ELSEWHERE = next(
    name
    for name in ("bob", "cyd", "dan", "eve")
    if shard_of(f"credit-{name}") != shard_of("credit-ann")
)


async def told(world: World) -> None:
    await holds(world, "ann", 1)
    await world.append("credit-ann", CreditThawed(customer="ann"), codec=NEW)
    await world.append("credit-ann", held("ann", "3"), codec=NEW)
    await world.append("credit-ann", held("ann", "4"))
    await holds(world, ELSEWHERE, 1)


def new(world: World) -> Subscriber:
    return world.follower(routing=ROUTED, codec=NEW)


async def waiting(world: World) -> list[Waits]:
    async with world.pool.connection() as connection:
        return list(await newer_code_waits.waiting(connection, [RELAY]))


async def test_the_relay_waits_before_an_event_of_an_unknown_name(world: World) -> None:
    await told(world)

    await world.catch_up()

    assert sorted(await got(world, "events")) == ["credit-ann/1", f"credit-{ELSEWHERE}/1"]
    assert await world.parked() == []
    assert [(one.type, one.schema) for one in await waiting(world)] == [("CreditThawed", 1)]


async def test_the_relay_waits_before_a_version_that_it_does_not_know(world: World) -> None:
    await world.append("credit-ann", held("ann", "1"), codec=NEW)

    await world.catch_up()

    assert await got(world, "events") == []
    assert [(one.type, one.schema) for one in await waiting(world)] == [("CreditHeld", 2)]


async def test_a_relay_of_newer_code_publishes_it_once_and_in_order(world: World) -> None:
    await told(world)
    async with world.running(world.follower()):
        await until(lambda: _waits(world))
        async with world.running(new(world)):
            await until(world.seen_all)

    assert [one for one in await got(world, "money") if "ann" in one] == ids("ann", 4)
    assert await world.parked() == []
    assert await waiting(world) == []


async def test_the_older_relay_goes_on_once_the_newer_one_is_gone(world: World) -> None:
    await told(world)
    async with world.running(world.follower()):
        await until(lambda: _waits(world))
        async with world.running(new(world)):
            await until(world.seen_all)
        await world.append("credit-ann", held("ann", "5"))
        await until(world.seen_all)

    assert [one for one in await got(world, "events") if "ann" in one] == ids("ann", 5)


async def test_what_was_parked_as_unknown_is_published_by_code_that_knows_it(world: World) -> None:
    """As releases parked it that did not wait, or as an operator decided."""
    await told(world)
    async with world.pool.connection() as connection:
        for form in (("CreditThawed", 1), ("CreditHeld", 2)):
            await decide(connection, [RELAY], form, Attribution("ann", "taken back"), parks=True)
    await world.catch_up()
    assert await world.parked() == [("relay/unknown", "credit-ann", n) for n in (2, 3, 4)]

    assert not await retry_readable(world.pool, world.publisher, HANDRAIL.routing, HANDRAIL.codec)
    assert await retry_readable(world.pool, world.publisher, ROUTED, NEW)

    assert [one for one in await got(world, "money") if "ann" in one] == ids("ann", 4)
    assert await world.parked() == []


async def _waits(world: World) -> bool:
    return bool(await waiting(world))
