"""Without a broker: a page of the feed is one transaction with what its events do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from handrail.eventstore import checkpoints
from handrail.eventstore.checkpoints import LostLease
from handrail.eventstore.feed import BEGINNING, read_page
from handrail.eventstore.store import SHARDS
from handrail.messaging.consumers.store_consumer import Feeding, FromStore, catch_up, has_caught_up
from runtime.app import HANDRAIL
from tests.messaging.consumers.place import Notebook, Place, ids
from tests.statements import statements_of

LEASE = timedelta(seconds=1)


async def caught_up(place: Place, notebook: Notebook) -> bool:
    async with place.pool.connection() as connection:
        cursor = await connection.execute("SELECT pg_current_snapshot()::text")
        [(goal,)] = await cursor.fetchall()
        return await has_caught_up(connection, notebook.consumer, goal)


async def test_the_checkpoint_moves_with_the_effects(place: Place, notebook: Notebook) -> None:
    await place.confirms(*"abc")
    assert not await caught_up(place, notebook)

    assert await catch_up(place.pool, notebook.consumer, HANDRAIL.codec) == 3

    assert await caught_up(place, notebook)
    assert await catch_up(place.pool, notebook.consumer, HANDRAIL.codec) == 0
    await place.confirms("a")
    assert not await caught_up(place, notebook)


async def test_who_has_lost_a_shard_has_no_effect(place: Place, notebook: Notebook) -> None:
    await place.confirms("a")
    store = FromStore(notebook.consumer, HANDRAIL.codec)
    async with place.pool.connection() as connection:
        [name] = await store.followers(connection)
        held = [one.checkpoint for one in await checkpoints.held(connection, [name])]
        stale = [replace(one, revision=one.revision - 1) for one in held]
        page = await read_page(connection, BEGINNING, range(SHARDS), 10)

        with pytest.raises(LostLease):
            await store.handle(connection, stale, page, LEASE)
        assert (await place.noted(), await place.inbox()) == ([], set())

        await store.handle(connection, held, page, LEASE)
    assert await place.noted() == ids("a", 1)


async def test_a_page_costs_two_statements_beside_the_effects(
    place: Place, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeding = Feeding(place.pool, notebook.consumer, HANDRAIL.codec, lease=600)
    costs = []
    async with place.pool.connection() as connection:
        await feeding.tick(connection)
        sent = statements_of(place.url, monkeypatch)
        for orders in ("ab", "abcdefghij" * 4):
            for order in orders:
                await place.confirms(order)
            sent.clear()
            assert await feeding.tick(connection) == [len(orders)]
            costs.append(len([one for one in sent if not one.startswith("INSERT INTO notes")]))

    assert costs == [3, 3]  # reading the page, moving the checkpoints, noting the messages


async def test_one_that_fails_costs_its_page_no_effect(place: Place, notebook: Notebook) -> None:
    await place.confirms(*"abcabc")
    notebook.failing = {"order-b/1": KeyError("for ever")}

    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)

    assert sorted(await place.noted()) == [*ids("a", 1, 2), *ids("c", 1, 2)]
    assert [id_ for id_, _ in await place.parked()] == ids("b", 1, 2)
    assert await caught_up(place, notebook)
