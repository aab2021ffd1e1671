"""A queue has messages of a server that is gone, and the store has other events under their ids."""

from __future__ import annotations

import asyncio

from handrail.messaging.consumers.delivery import Answer, Trying
from tests.messaging.consumers.place import Notebook, Place, a_place, ids
from tests.servers.postgres import sql

LOSE_EVERYTHING = (
    "SET session_replication_role = replica; TRUNCATE events, outbox, streams;"
    " SELECT adopt_store('the last moments were lost', 'tests')"
)


async def test_a_message_of_a_lost_event_has_no_effect_and_hides_no_other(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "b")
    lost = await place.messages()
    await sql(place.url, LOSE_EVERYTHING)
    async with a_place(place.url) as after:
        trying = Trying(after.pool, notebook.consumer)
        assert await trying.handle(lost[0], asyncio.Event()) is Answer.DONE
        await after.confirms("a", "b")
        there = await after.messages()
        assert [one.id for one in there] == [one.id for one in lost]
        assert not {one.position for one in there} & {one.position for one in lost}

        assert await trying.handle_together([*lost, *there])

        assert await after.noted() == [*ids("a", 1), *ids("b", 1)]
        assert (trying.counted.lost, trying.counted.handled) == (3, 2)
        assert trying.counted.duplicates == 0


async def test_a_message_that_waited_while_the_store_was_restored_has_its_effect(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a")
    waiting = await place.messages()
    await sql(place.url, "SELECT adopt_store('nothing was lost', 'tests')")
    async with a_place(place.url) as after:
        trying = Trying(after.pool, notebook.consumer)

        assert await trying.handle(waiting[0], asyncio.Event()) is Answer.DONE

        assert await after.noted() == ids("a", 1)
