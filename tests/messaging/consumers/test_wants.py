"""What a consumer wants may grow: history is handled once, and old processes lose nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

import pytest

from domain.identifiers import OrderId
from domain.ordering.events import OrderConfirmed, OrderRejected
from handrail.eventstore import checkpoints
from handrail.eventstore.checkpoints import LostLease
from handrail.eventstore.feed import BEGINNING, read_page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import SHARDS
from handrail.messaging.consumers import backfill
from handrail.messaging.consumers.backfill import Group, groups
from handrail.messaging.consumers.catch_up import Settling
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.inbox import Outcome, receive
from handrail.messaging.consumers.prune_inbox import prune
from handrail.messaging.consumers.store_consumer import (
    Feeding,
    FromStore,
    begin,
    catch_up,
    snapshot,
)
from handrail.messaging.consumers.wants import register
from runtime.app import HANDRAIL
from tests.messaging.consumers.lines import running
from tests.messaging.consumers.place import Notebook, Place, ids
from tests.projections.world import until
from tests.seeds import two_of
from tests.servers.postgres import sql
from tests.statements import statements_of


def old() -> Notebook:
    return Notebook(wants=(OrderConfirmed,))


def new() -> Notebook:
    return Notebook(wants=(OrderConfirmed, OrderRejected))


async def rejects(place: Place, *orders: str) -> None:
    for order in orders:
        await place.append(f"order-{order}", OrderRejected(order=OrderId(order)))


async def happens(place: Place, story: str) -> None:
    """`a` confirms the order a, `A` rejects it."""
    for one in story:
        await (place.confirms(one) if one.islower() else rejects(place, one.lower()))


async def left(place: Place, notebook: Notebook) -> int:
    async with place.pool.connection() as connection:
        return len(await groups(connection, notebook.consumer))


async def test_history_is_read_across_the_positions_that_no_event_has_between_two_epochs(
    place: Place,
) -> None:
    await happens(place, "aA")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    await sql(place.url, "SELECT adopt_store('the tests say so', 'tests')")
    await happens(place, "bBA")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)

    async with asyncio.timeout(60):
        await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert sorted(await place.noted()) == [*ids("a", 1, 2, 3), *ids("b", 1, 2)]
    assert await left(place, new()) == 0


async def test_a_type_that_was_added_is_read_from_history_in_the_order_of_its_streams(
    place: Place,
) -> None:
    await happens(place, "aAbBaABb")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    assert sorted(await place.noted()) == [*ids("a", 1, 3), *ids("b", 1, 4)]

    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await happens(place, "Aa")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert await place.noted_of("a") == ids("a", 1, 3, 2, 4, 5, 6)
    assert await place.noted_of("b") == ids("b", 1, 4, 2, 3)
    assert await left(place, new()) == 0


async def test_a_consumer_that_is_new_reads_everything_in_order(place: Place) -> None:
    await happens(place, "aAaA")

    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert await place.noted() == ids("a", 1, 2, 3, 4)
    assert await place.sql("SELECT FROM consumer_backfills") == []


async def test_history_is_read_before_the_consumer_goes_on(place: Place) -> None:
    await happens(place, "aA")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    await happens(place, "aA")

    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert await place.noted() == ids("a", 1, 2, 3, 4)


async def test_before_it_subscribes_to_its_queue_it_has_the_history_of_the_new_type(
    place: Place,
) -> None:
    await happens(place, "aAbB")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)

    assert await begin(place.pool, new().consumer, HANDRAIL.codec) == 2

    assert sorted(await place.noted()) == [*ids("a", 1, 2), *ids("b", 1, 2)]


async def test_behind_the_broker_it_is_read_from_history_too(place: Place) -> None:
    await happens(place, "aAbB")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)

    await Settling(place.pool, new().consumer, HANDRAIL.codec, patience=600).catch_up()

    assert sorted(await place.noted()) == [*ids("a", 1, 2), *ids("b", 1, 2)]


async def test_an_event_of_the_new_type_that_the_queue_brings_first_has_its_effect_once(
    place: Place,
) -> None:
    await happens(place, "aA")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    async with place.pool.connection() as connection:
        _, message = await place.messages()
        assert await receive(connection, new().consumer, message) is Outcome.HANDLED
        await register(connection, new().consumer)
        assert await receive(connection, new().consumer, message) is Outcome.DUPLICATE

    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert await place.noted() == ids("a", 1, 2)


async def test_an_old_process_leaves_the_new_type_behind_for_those_who_want_it(
    place: Place,
) -> None:
    await happens(place, "aA")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await happens(place, "aAbB")

    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    assert sorted(await place.noted()) == [*ids("a", 1, 2, 3), *ids("b", 1)]
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert sorted(await place.noted()) == [*ids("a", 1, 2, 3, 4), *ids("b", 1, 2)]
    assert await left(place, new()) == 0


async def test_behind_the_broker_an_old_process_leaves_it_behind_too(place: Place) -> None:
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await happens(place, "aA")

    await Settling(place.pool, old().consumer, HANDRAIL.codec, patience=0).catch_up()
    await Settling(place.pool, new().consumer, HANDRAIL.codec, patience=0).catch_up()

    assert await place.noted() == ids("a", 1, 2)


async def test_what_an_old_process_left_behind_is_not_taken_for_a_duplicate(place: Place) -> None:
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await happens(place, "A")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)

    async with place.pool.connection() as connection:
        [message] = await place.messages()
        assert await receive(connection, new().consumer, message) is Outcome.HANDLED
        assert await receive(connection, new().consumer, message) is Outcome.DUPLICATE


@pytest.mark.thorough
async def test_old_and_new_processes_side_by_side_lose_and_double_nothing(place: Place) -> None:
    before, after = old(), new()
    feeds = [
        Feeding(place.pool, one.consumer, HANDRAIL.codec, poll=0.005, lease=1.0)
        for one in (before, after, before)
    ]
    async with running(feeds[0]):
        await happens(place, "aAbBcCdD" * 3)
        async with running(feeds[1]), running(feeds[2]):
            await happens(place, "aAbBcCdD" * 10)
    await happens(place, "aAbBcCdD")
    async with running(feeds[1]):

        async def everything() -> bool:
            return len(await place.noted()) == 8 * 14

        await until(everything)

    for order in "abcd":
        assert sorted(await place.noted_of(order)) == sorted(ids(order, *range(1, 29)))


async def test_a_message_of_it_that_fails_is_parked_and_others_go_on(place: Place) -> None:
    await happens(place, "aAAbB")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    notebook = new()
    notebook.failing = {"order-a/2": KeyError("for ever")}

    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)

    assert [id_ for id_, _ in await place.parked()] == ids("a", 2, 3)
    assert sorted(await place.noted()) == [*ids("a", 1), *ids("b", 1, 2)]


async def test_killed_while_it_reads_history_it_goes_on_where_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "_PAGE", 2)
    await happens(place, "aA" * 6)
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    notebook = new()

    async def killed(_: object) -> None:
        if len(notebook.tried) == 5:
            raise asyncio.CancelledError

    notebook.during = killed
    with pytest.raises(asyncio.CancelledError):
        await begin(place.pool, notebook.consumer, HANDRAIL.codec)
    assert await place.noted() == ids("a", 1, 3, 5, 7, 9, 11, 2, 4, 6, 8)

    assert await begin(place.pool, new().consumer, HANDRAIL.codec) == 2
    assert await place.noted() == ids("a", 1, 3, 5, 7, 9, 11, 2, 4, 6, 8, 10, 12)


async def test_history_is_read_to_its_end_though_an_old_process_moves_on_all_the_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind each look at where types and checkpoints stand, the checkpoints are elsewhere."""
    look = backfill.groups

    async def look_and_be_overtaken(connection: Connection, consumer: Consumer) -> Sequence[Group]:
        found = await look(connection, consumer)
        if consumer is reader:
            await happens(place, "aAbB")
            await catch_up(place.pool, old().consumer, HANDRAIL.codec)
        return found

    reader = new().consumer
    await happens(place, "aAbBcC" * 2)
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)

    monkeypatch.setattr(backfill, "groups", look_and_be_overtaken)
    async with asyncio.timeout(60):
        await begin(place.pool, reader, HANDRAIL.codec)
    assert {*ids("a", 2, 4), *ids("b", 2, 4), *ids("c", 2, 4)} <= {*await place.noted()}
    monkeypatch.undo()

    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    assert sorted(await place.noted()) == sorted(one.id for one in await place.messages())


@pytest.mark.thorough
async def test_several_that_read_history_at_once_have_each_effect_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "_PAGE", 3)
    await happens(place, "aAbBcC" * 6)
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)

    await asyncio.gather(*(begin(place.pool, new().consumer, HANDRAIL.codec) for _ in range(4)))

    for order in "abc":
        assert await place.noted_of(order) == ids(order, *range(1, 13, 2), *range(2, 13, 2))


async def test_a_store_that_was_there_before_the_list_of_wants_reads_nothing_again(
    place: Place,
) -> None:
    await happens(place, "aA")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await place.sql("TRUNCATE consumer_wants, consumer_backfills, inbox")

    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert await place.noted() == ids("a", 1, 2)


async def test_who_is_about_to_move_the_checkpoint_sees_that_a_type_was_added(
    place: Place,
) -> None:
    """It waits for who registers the type, and has to look again."""
    await happens(place, "aA")
    store = FromStore(old().consumer, HANDRAIL.codec)
    async with place.pool.connection() as mover, place.pool.connection() as other:
        [name] = await store.followers(mover)
        held = [one.checkpoint for one in await checkpoints.held(mover, [name])]
        page = await read_page(mover, BEGINNING, range(SHARDS), 10)
        async with other.transaction():
            await register(other, new().consumer)
            moving = asyncio.create_task(store.handle(mover, held, page, timedelta(seconds=1)))
            await place.until_stuck(1)
        with pytest.raises(LostLease):
            await moving

    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    assert await place.noted() == ids("a", 1, 2)


async def test_moving_over_what_others_want_costs_no_statement_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    feeding = Feeding(place.pool, old().consumer, HANDRAIL.codec, lease=600)
    async with place.pool.connection() as connection:
        await feeding.tick(connection)
        await happens(place, "aA")
        sent = statements_of(place.url, monkeypatch)
        assert await feeding.tick(connection) == [2]

    assert len([one for one in sent if not one.startswith("INSERT INTO notes")]) == 3


@pytest.mark.thorough
@pytest.mark.parametrize("seed", two_of(range(12)))
async def test_whatever_happens_in_whatever_order_every_event_has_its_effect_once(
    place: Place, seed: int
) -> None:
    """Deployments, rollbacks, queues that repeat and lose, and inboxes that are pruned."""
    chance = random.Random(seed)
    before, after = old(), new()
    for _ in range(40):
        notebook = chance.choice((before, after))
        match chance.choice(("append", "append", "feed", "settle", "queue", "prune", "begin")):
            case "append":
                await happens(place, "".join(chance.choices("aAbBcC", k=chance.randint(1, 6))))
            case "feed":
                await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
            case "settle":
                await Settling(place.pool, notebook.consumer, HANDRAIL.codec, patience=0).catch_up()
            case "begin":
                await begin(place.pool, notebook.consumer, HANDRAIL.codec)
            case "queue":
                async with place.pool.connection() as connection:
                    for message in await place.messages():
                        if message.type in notebook.consumer.types and chance.random() < 0.5:
                            await receive(connection, notebook.consumer, message)
            case _:
                await place.sql("UPDATE inbox SET received_at = received_at - interval '91 days'")
                async with place.pool.connection() as connection:
                    await prune(connection, notebook.consumer, await snapshot(connection))

    await catch_up(place.pool, after.consumer, HANDRAIL.codec)

    assert sorted(await place.noted()) == sorted(one.id for one in await place.messages())
