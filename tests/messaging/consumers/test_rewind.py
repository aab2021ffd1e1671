"""A rewind has a consumer handle again, once, what it has handled behind a position."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from consumers import finance
from domain.ordering.events import OrderConfirmed, OrderRejected
from handrail.kernel import Attribution
from handrail.messaging.consumers import backfill
from handrail.messaging.consumers.catch_up import Settling
from handrail.messaging.consumers.inbox import Outcome, receive
from handrail.messaging.consumers.parked_messages import discard, retry
from handrail.messaging.consumers.prune_inbox import prune
from handrail.messaging.consumers.rewind import CannotRewind, affected, position_before, rewind
from handrail.messaging.consumers.store_consumer import begin, catch_up, snapshot
from runtime.app import HANDRAIL
from tests.messaging.consumers.place import Notebook, Place, ids
from tests.messaging.consumers.test_finance import balances, happened, sold
from tests.messaging.consumers.test_wants import happens, new, old


async def rewound(
    place: Place, position: int = 0, notebook: Notebook | None = None, types: str = ""
) -> None:
    consumer = (notebook or new()).consumer
    chosen = types.split() or sorted(consumer.types)
    async with place.pool.connection() as connection:
        await rewind(connection, consumer, position, chosen, actor="ann", reason="ticket 7")


async def test_what_is_behind_the_position_is_handled_again_in_order(place: Place) -> None:
    await happens(place, "aAaA")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    _, second, *_ = await place.messages()

    await rewound(place, second.position)
    await happens(place, "a")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert await place.noted() == ids("a", 1, 2, 3, 4, 3, 4, 5)


async def test_only_the_types_that_are_named_are(place: Place) -> None:
    await happens(place, "aAbB")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    await rewound(place, types="OrderRejected")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert sorted(await place.noted()) == sorted(ids("a", 1, 2, 2) + ids("b", 1, 2, 2))


async def test_it_happens_once_however_often_the_events_come_then(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "_PAGE", 2)
    await happens(place, "aAaA")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await place.sql("UPDATE inbox SET received_at = received_at - interval '91 days'")
    async with place.pool.connection() as connection:
        assert await prune(connection, new().consumer, await snapshot(connection)) == 4
        await rewound(place)
        first, *_ = await place.messages()
        assert await receive(connection, new().consumer, first) is Outcome.HANDLED
        await begin(place.pool, new().consumer, HANDRAIL.codec)
        for message in await place.messages():
            assert await receive(connection, new().consumer, message) is Outcome.DUPLICATE
    await Settling(place.pool, new().consumer, HANDRAIL.codec, patience=0).catch_up()

    assert await place.noted() == ids("a", 1, 2, 3, 4, 1, 2, 3, 4)


async def test_what_the_queue_has_brought_ahead_of_the_checkpoint_is_not_handled_again(
    place: Place,
) -> None:
    await happens(place, "a")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await happens(place, "a")
    async with place.pool.connection() as connection:
        _, ahead = await place.messages()
        await receive(connection, new().consumer, ahead)

    await rewound(place)
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert sorted(await place.noted()) == ids("a", 1, 1, 2)


async def test_what_was_discarded_stays_so_and_what_was_parked_may_park_again(
    place: Place,
) -> None:
    await happens(place, "aaab")
    notebook = new()
    notebook.failing = {"order-a/1": KeyError("a")}
    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
    by = Attribution("ben", "mended")
    async with place.pool.connection() as connection:
        await discard(connection, "notebook", "order-a", by)
        await retry(connection, notebook.consumer, HANDRAIL.codec, "order-a", by)
        assert await place.noted() == [*ids("b", 1), *ids("a", 2, 3)]
        notebook.failing = {"order-a/2": KeyError("a")}

        await rewound(place)
        await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
        assert [id_ for id_, _ in await place.parked()] == ids("a", 2, 3)
        notebook.failing = {}
        await retry(connection, notebook.consumer, HANDRAIL.codec, "order-a", by)

    assert await place.noted() == [*ids("b", 1), *ids("a", 2, 3), *ids("b", 1), *ids("a", 2, 3)]


async def test_before_it_is_done_it_is_known_what_it_does(place: Place) -> None:
    await happens(place, "aAbB")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await happens(place, "aA")
    _, second, *_ = await place.messages()
    types = ["OrderConfirmed", "OrderRejected"]

    async with place.pool.connection() as connection:
        behind = await affected(connection, new().consumer, second.position, types)
        everything = await affected(connection, new().consumer, 0, types)

    assert behind.types == {"OrderConfirmed": 1, "OrderRejected": 1}
    assert (everything.events, everything.more) == (4, False)  # the last two were not handled yet


async def test_a_moment_is_the_position_of_the_last_event_before_it(place: Place) -> None:
    await happens(place, "aaa")
    first, second, _ = await place.messages()

    async with place.pool.connection() as connection:
        assert await position_before(connection, second.recorded_at) == first.position
        assert await position_before(connection, datetime(2000, 1, 1, tzinfo=UTC)) == 0
        later = second.recorded_at + timedelta(days=1)
        assert await position_before(connection, later) > second.position


async def test_a_consumer_that_has_not_begun_cannot_be_rewound(place: Place) -> None:
    with pytest.raises(CannotRewind, match="has not begun"):
        await rewound(place)


async def test_a_consumer_in_the_middle_of_a_batch_is_not_rewound(place: Place) -> None:
    await happens(place, "a")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await place.sql("UPDATE checkpoints SET until = pg_current_snapshot(), after_position = 1")

    with pytest.raises(CannotRewind, match="is behind"):
        await rewound(place)


async def test_a_second_rewind_waits_for_the_first(place: Place) -> None:
    await happens(place, "aA")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await rewound(place, types="OrderRejected")

    with pytest.raises(CannotRewind, match="handrail consumers backfill notebook --yes"):
        await rewound(place)
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await rewound(place)
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert sorted(await place.noted()) == ids("a", 1, 1, 2, 2, 2)


async def test_a_clock_that_was_put_back_keeps_nothing_from_being_handled_again(
    place: Place,
) -> None:
    await happens(place, "aA")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await place.sql("UPDATE inbox SET received_at = received_at + interval '1 hour'")

    await rewound(place)
    first, *_ = await place.messages()
    async with place.pool.connection() as connection:
        for _ in range(2):
            await receive(connection, new().consumer, first)
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert sorted(await place.noted()) == ids("a", 1, 1, 2, 2)


async def test_who_asked_for_it_and_why_is_kept_as_long_as_it_lasts(place: Place) -> None:
    await happens(place, "a")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await rewound(place)

    asked = await place.sql("SELECT DISTINCT actor, reason, again FROM consumer_backfills")
    assert asked == [("ann", "ticket 7", True)]
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    assert await place.sql("SELECT FROM consumer_backfills") == []


async def test_an_old_process_meanwhile_loses_nothing(place: Place) -> None:
    await happens(place, "aA")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    await rewound(place)
    await happens(place, "aA")

    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)

    assert sorted(await place.noted()) == ids("a", 1, 1, 2, 2, 3, 4)


async def test_finance_books_nothing_twice(place: Place) -> None:
    await happened(place, sold)
    await catch_up(place.pool, finance.CONSUMER, HANDRAIL.codec)
    before = await balances(place)
    async with place.pool.connection() as connection:
        types = sorted(finance.CONSUMER.types)
        await rewind(connection, finance.CONSUMER, 0, types, actor="ann", reason="ticket 7")

    await catch_up(place.pool, finance.CONSUMER, HANDRAIL.codec)

    assert await balances(place) == before
    assert await place.parked("finance") == []


def test_the_types_of_these_tests_are_those_of_the_notebook() -> None:
    assert set(new().wants) == {OrderConfirmed, OrderRejected}
