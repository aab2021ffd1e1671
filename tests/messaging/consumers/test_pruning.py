"""An inbox becomes smaller only by what cannot come again."""

from __future__ import annotations

from messaging.feeding import catch_up, snapshot
from messaging.pruning import prune
from tests.messaging.consumers.place import Notebook, Place, ids


async def pruned(place: Place, notebook: Notebook) -> int:
    async with place.pool.connection() as connection:
        return await prune(connection, notebook.consumer, await snapshot(connection))


async def days_go_by(place: Place, days: int) -> None:
    await place.sql(
        "UPDATE inbox SET received_at = received_at - make_interval(days => :d)", d=days
    )


async def test_old_rows_go_and_new_ones_stay(place: Place, notebook: Notebook) -> None:
    await place.confirms("a")
    await catch_up(place.pool, notebook.consumer)
    await days_go_by(place, 91)
    await place.confirms("a")
    await catch_up(place.pool, notebook.consumer)

    assert await pruned(place, notebook) == 1
    assert await place.inbox() == set(ids("a", 2))


async def test_nothing_goes_that_the_store_would_bring_again(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a")
    await catch_up(place.pool, notebook.consumer)
    await days_go_by(place, 91)
    await place.sql("UPDATE checkpoints SET since = '1:1:'")

    assert await pruned(place, notebook) == 0


async def test_the_inboxes_of_others_are_left_alone(place: Place, notebook: Notebook) -> None:
    other = Notebook(name="other")
    await place.confirms("a")
    for one in (notebook, other):
        await catch_up(place.pool, one.consumer)
    await days_go_by(place, 91)

    assert await pruned(place, notebook) == 1
    assert await place.inbox("other") == set(ids("a", 1))
