"""An inbox becomes smaller only by what cannot come again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from consumers import warehouse
from domain.identifiers import MerchantId, OrderId, ReturnId, Sku
from domain.inventory.events import StockReleased, StockReserved, StockReturned, StockShipped
from handrail.kernel import Attribution, Event
from handrail.messaging.consumers.catch_up import Settling
from handrail.messaging.consumers.inbox import Outcome, receive
from handrail.messaging.consumers.parked_messages import discard, retry
from handrail.messaging.consumers.prune_inbox import KEPT, SETTLED_KEPT, prune, prune_settled
from handrail.messaging.consumers.store_consumer import catch_up, snapshot
from runtime.app import HANDRAIL
from tests.messaging.consumers.place import Notebook, Place, ids


async def pruned(place: Place, notebook: Notebook) -> int:
    async with place.pool.connection() as connection:
        return await prune(connection, notebook.consumer, await snapshot(connection))


async def days_go_by(place: Place, days: int) -> None:
    await place.sql(
        "UPDATE inbox SET received_at = received_at - make_interval(days => :d)", d=days
    )
    await place.sql(
        "UPDATE parked_messages SET settled_at = settled_at - make_interval(days => :d)", d=days
    )


async def settled_pruned(place: Place) -> int:
    async with place.pool.connection() as connection:
        return await prune_settled(connection, Notebook().consumer)


async def comes_again(place: Place, notebook: Notebook) -> list[Outcome]:
    """As the queue brings it all once more."""
    async with place.pool.connection() as connection:
        return [await receive(connection, notebook.consumer, one) for one in await place.messages()]


async def test_old_rows_go_and_new_ones_stay(place: Place, notebook: Notebook) -> None:
    await place.confirms("a")
    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
    await days_go_by(place, 91)
    await place.confirms("a")
    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)

    assert await pruned(place, notebook) == 1
    assert await place.inbox() == set(ids("a", 2))


async def test_nothing_goes_that_the_store_would_bring_again(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a")
    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
    await days_go_by(place, 91)
    await place.sql("UPDATE checkpoints SET since = '1:1:'")

    assert await pruned(place, notebook) == 0


async def test_the_inboxes_of_others_are_left_alone(place: Place, notebook: Notebook) -> None:
    other = Notebook(name="other")
    await place.confirms("a")
    for one in (notebook, other):
        await catch_up(place.pool, one.consumer, HANDRAIL.codec)
    await days_go_by(place, 91)

    assert await pruned(place, notebook) == 1
    assert await place.inbox("other") == set(ids("a", 1))


STOCK = {
    "merchant": MerchantId("m"),
    "sku": Sku("cup"),
    "order": OrderId("o1"),
    "available": 0,
    "reserved": 0,
}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StockReserved(**STOCK, quantity=2), (2, 0, 0)),  # type: ignore[arg-type]  # one dictionary
        (StockReleased(**STOCK, quantity=1), (-1, 0, 0)),  # type: ignore[arg-type]
        (StockShipped(**STOCK, quantity=3), (0, 3, 0)),  # type: ignore[arg-type]
        (StockReturned(**STOCK, quantity=4, return_id=ReturnId("r")), (0, 0, 4)),  # type: ignore[arg-type]
    ],
    ids=["reserved", "released", "shipped", "returned"],
)
async def test_what_comes_again_after_its_row_went_is_counted_once(
    place: Place, event: Event, line: tuple[int, int, int]
) -> None:
    await place.append("stock-m:cup", event)
    await catch_up(place.pool, warehouse.CONSUMER, HANDRAIL.codec)
    await days_go_by(place, 91)

    async with place.pool.connection() as connection:
        assert await prune(connection, warehouse.CONSUMER, await snapshot(connection)) == 1
        [message] = await place.messages()
        outcome = await receive(connection, warehouse.CONSUMER, message)

    assert outcome is Outcome.DUPLICATE
    assert await place.sql("SELECT to_pack, packed, came_back FROM packing_lines") == [line]


async def test_behind_the_broker_it_is_a_duplicate_too(place: Place, notebook: Notebook) -> None:
    await place.confirms(*"aab")
    await comes_again(place, notebook)
    await Settling(place.pool, notebook.consumer, HANDRAIL.codec, patience=600).catch_up()
    await days_go_by(place, 91)

    assert await pruned(place, notebook) == 3
    assert await comes_again(place, notebook) == [Outcome.DUPLICATE] * 3
    assert await place.inbox() == set()


async def test_a_shard_that_stands_still_keeps_its_own_rows_and_no_others(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "b")
    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
    await days_go_by(place, 91)
    await place.sql(
        "UPDATE checkpoints SET since = '1:1:'"
        " WHERE shard = (SELECT shard FROM events WHERE stream = 'order-a')"
    )

    assert await pruned(place, notebook) == 1
    assert await place.inbox() == set(ids("a", 1))
    assert await comes_again(place, notebook) == [Outcome.DUPLICATE] * 2


async def test_what_an_earlier_snapshot_did_not_see_is_left_for_the_next_time(
    place: Place, notebook: Notebook
) -> None:
    async with place.pool.connection() as connection:
        earlier = await snapshot(connection)
        await place.confirms("a")
        await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
        await days_go_by(place, 91)

        assert await prune(connection, notebook.consumer, earlier) == 0


async def test_a_message_whose_event_the_store_does_not_have_is_no_duplicate_by_position(
    place: Place, notebook: Notebook
) -> None:
    """Such as one that a failover has lost, of which another event has got the position."""
    await place.confirms("a", "b")
    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
    _, message = await place.messages()
    await place.sql("DELETE FROM inbox")
    await place.sql(
        "SET session_replication_role = replica; DELETE FROM events WHERE stream = 'order-b'"
    )

    async with place.pool.connection() as connection:
        assert await receive(connection, notebook.consumer, message) is Outcome.HANDLED


async def test_what_waits_for_a_person_still_waits_when_it_comes_again(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms(*"aaa")
    notebook.failing = {"order-a/2": KeyError("for ever")}
    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
    await days_go_by(place, 91)
    await pruned(place, notebook)

    assert await comes_again(place, notebook) == [
        Outcome.DUPLICATE,
        Outcome.BEHIND,
        Outcome.BEHIND,
    ]
    notebook.failing = {}
    async with place.pool.connection() as connection:
        await retry(
            connection, notebook.consumer, HANDRAIL.codec, "order-a", Attribution("ann", "mended")
        )
    assert await place.noted() == ids("a", 1, 2, 3)


async def test_what_was_discarded_stays_on_record_and_has_no_effect(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a")
    notebook.failing = {"order-a/1": KeyError("for ever")}
    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
    async with place.pool.connection() as connection:
        await discard(connection, "notebook", "order-a", Attribution("ann", "ticket 7"))
    notebook.failing = {}
    await days_go_by(place, SETTLED_KEPT.days + 1)

    assert await pruned(place, notebook) == 1
    assert await settled_pruned(place) == 0
    assert await comes_again(place, notebook) == [Outcome.DUPLICATE]
    assert await place.noted() == []


async def test_what_was_handled_is_kept_for_its_time_and_what_waits_for_ever(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "b", "c")
    notebook.failing = {f"order-{one}/1": KeyError("for ever") for one in "abc"}
    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec)
    by = Attribution("ann", "ticket 7")
    async with place.pool.connection() as connection:
        del notebook.failing["order-a/1"], notebook.failing["order-b/1"]
        await retry(connection, notebook.consumer, HANDRAIL.codec, "order-a", by)
        await days_go_by(place, SETTLED_KEPT.days + 1)
        await retry(connection, notebook.consumer, HANDRAIL.codec, "order-b", by)
    await place.sql("UPDATE parked_messages SET parked_at = parked_at - interval '9 years'")

    assert await settled_pruned(place) == 0  # the inbox still has it
    await pruned(place, notebook)
    assert await settled_pruned(place) == 1
    kept = await place.sql("SELECT stream, settled_as FROM parked_messages ORDER BY stream")
    assert kept == [("order-b", "handled"), ("order-c", None)]


def test_who_settled_a_message_is_known_for_longer_than_the_inbox_knows_it() -> None:
    assert timedelta(days=90) <= SETTLED_KEPT - KEPT
