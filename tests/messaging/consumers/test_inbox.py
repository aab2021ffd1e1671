"""An effect and its inbox row are one; a stream of which a message is parked waits as a whole."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import IntegrityError

from handrail.kernel import Attribution
from handrail.messaging.consumers import parked_messages
from handrail.messaging.consumers.inbox import BEHIND, Outcome, park, receive, receive_all
from handrail.messaging.consumers.parked_messages import NothingParked, discard, retry
from handrail.messaging.envelope import Received
from runtime.app import HANDRAIL
from tests.messaging.consumers.place import Notebook, Place, ids, together
from tests.statements import statements_of

ANN = Attribution("ann", "ticket 7")
MENDED = Attribution("ben", "mended in 1.2.3")


async def take(place: Place, notebook: Notebook, received: Received) -> Outcome:
    async with place.pool.connection() as connection:
        return await receive(connection, notebook.consumer, received)


async def take_all(place: Place, notebook: Notebook, *orders: str) -> None:
    """As whoever brings messages does: parks what fails."""
    async with place.pool.connection() as connection:
        for received in await place.messages(*(f"order-{order}" for order in orders)):
            try:
                await receive(connection, notebook.consumer, received)
            except KeyError as error:
                await park(connection, notebook.consumer, received, repr(error), 3)


async def work_off(
    place: Place, notebook: Notebook, order: str, by: Attribution = ANN
) -> parked_messages.Retried:
    async with place.pool.connection() as connection:
        return await retry(connection, notebook.consumer, HANDRAIL.codec, f"order-{order}", by)


async def drop(place: Place, order: str, version: int | None = None, by: Attribution = ANN) -> int:
    async with place.pool.connection() as connection:
        return await discard(connection, "notebook", f"order-{order}", by, version=version)


async def test_a_message_that_comes_again_has_no_effect(place: Place, notebook: Notebook) -> None:
    await place.confirms("a")
    [message] = await place.messages()

    assert await take(place, notebook, message) is Outcome.HANDLED
    assert await take(place, notebook, message) is Outcome.DUPLICATE
    assert await place.noted() == ids("a", 1)


async def test_the_same_message_at_the_same_time_has_one_effect(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a")
    [message] = await place.messages()

    outcomes = await together(*(take(place, notebook, message) for _ in range(8)))

    assert sorted(one.name for one in outcomes) == ["DUPLICATE"] * 7 + ["HANDLED"]
    assert await place.noted() == ids("a", 1)


async def test_the_same_message_twice_in_a_batch_has_one_effect(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "a")
    first, second = await place.messages()

    async with place.pool.connection() as connection:
        outcomes = await receive_all(
            connection, notebook.consumer, [first, second, first, second, second]
        )

    assert [one.name for one in outcomes] == ["HANDLED"] * 2 + ["DUPLICATE"] * 3
    assert await place.noted() == ids("a", 1, 2)


async def test_what_fails_leaves_neither_effect_nor_inbox_row(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a")
    [message] = await place.messages()
    notebook.failing = {"order-a/1": 1}

    with pytest.raises(KeyError):
        await take(place, notebook, message)
    assert (await place.noted(), await place.inbox()) == ([], set())

    await take(place, notebook, message)
    assert (await place.noted(), await place.inbox()) == (ids("a", 1), {"order-a/1"})


async def test_consumers_do_not_share_an_inbox(place: Place, notebook: Notebook) -> None:
    await place.confirms("a")
    [message] = await place.messages()
    other = Notebook(name="other")

    assert await take(place, notebook, message) is Outcome.HANDLED
    assert await take(place, other, message) is Outcome.HANDLED


async def test_later_messages_of_the_stream_wait_and_other_streams_flow(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "b", "a", "b", "a")
    notebook.failing = {"order-a/2": 1}

    await take_all(place, notebook)

    assert await place.noted() == [*ids("a", 1), *ids("b", 1, 2)]
    assert await place.parked() == [
        ("order-a/2", "KeyError('nobody thought of this')"),
        ("order-a/3", BEHIND),
    ]


async def test_a_retry_works_the_stream_off_in_order_and_says_who_and_why(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "a", "a")
    notebook.failing = {"order-a/1": 1}
    await take_all(place, notebook)

    done = await work_off(place, notebook, "a", MENDED)

    assert (done.handled, done.stopped_by) == (3, None)
    assert await place.noted() == ids("a", 1, 2, 3)
    assert await place.inbox() == set(ids("a", 1, 2, 3))
    settled = await place.sql("SELECT DISTINCT settled_as, actor, reason FROM parked_messages")
    assert settled == [("handled", "ben", "mended in 1.2.3")]
    assert await place.sql("SELECT FROM parked_streams") == []


@pytest.mark.parametrize(("actor", "reason"), [(None, "why"), ("ann", None), ("", "why")])
async def test_nothing_is_settled_without_a_name_and_a_reason(
    place: Place, notebook: Notebook, actor: str | None, reason: str | None
) -> None:
    await place.confirms("a")
    notebook.failing = {"order-a/1": 1}
    await take_all(place, notebook)

    with pytest.raises(IntegrityError, match="parked_messages_settled_by_check"):
        await place.sql(
            "UPDATE parked_messages SET settled_at = now(), settled_as = 'discarded',"
            " actor = :actor, reason = :reason",
            actor=actor,
            reason=reason,
        )


async def test_a_retry_stops_at_the_first_that_fails_again(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "a", "a")
    notebook.failing = {"order-a/1": 1, "order-a/2": 1}
    await take_all(place, notebook)

    done = await work_off(place, notebook, "a")

    assert done.handled == 1
    assert done.stopped_by
    assert (done.stopped_by.version, done.stopped_by.attempts) == (2, 1)
    assert await place.noted() == ids("a", 1)
    assert await place.parked() == [
        ("order-a/2", "KeyError: 'nobody thought of this'"),
        ("order-a/3", BEHIND),
    ]


async def test_more_than_one_chunk_is_worked_off(
    place: Place, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.confirms(*"aaaaaa")
    notebook.failing = {"order-a/1": 1}
    await take_all(place, notebook)
    monkeypatch.setattr("handrail.messaging.consumers.parked_messages.CHUNK", 3)

    done = await work_off(place, notebook, "a")

    assert (done.handled, await place.parked()) == (6, [])
    assert await place.noted() == ids("a", 1, 2, 3, 4, 5, 6)


async def test_a_discarded_message_never_has_an_effect_and_the_rest_follows_on_retry(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "a", "a")
    notebook.failing = {"order-a/1": KeyError("for ever")}
    await take_all(place, notebook)

    assert await drop(place, "a") == 1
    assert await place.noted() == []
    await work_off(place, notebook, "a", MENDED)
    await take_all(place, notebook)

    assert await place.noted() == ids("a", 2, 3)
    settled = await place.sql(
        "SELECT version, settled_as, actor, reason FROM parked_messages ORDER BY version"
    )
    assert settled == [
        (1, "discarded", "ann", "ticket 7"),
        (2, "handled", "ben", "mended in 1.2.3"),
        (3, "handled", "ben", "mended in 1.2.3"),
    ]


async def test_the_last_one_discarded_lets_the_stream_flow(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a")
    notebook.failing = {"order-a/1": KeyError("for ever")}
    await take_all(place, notebook)
    await drop(place, "a")
    await place.confirms("a")

    await take_all(place, notebook)

    assert await place.noted() == ids("a", 2)


async def test_a_message_can_be_discarded_by_its_version(place: Place, notebook: Notebook) -> None:
    await place.confirms("a", "a", "a")
    notebook.failing = {"order-a/1": 1}
    await take_all(place, notebook)

    await drop(place, "a", version=2)
    await work_off(place, notebook, "a")

    assert await place.noted() == ids("a", 1, 3)


async def test_nothing_is_settled_without_an_actor_and_a_reason(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a")
    notebook.failing = {"order-a/1": 1}
    await take_all(place, notebook)

    for by in (Attribution("", "why"), Attribution("who", "")):
        with pytest.raises(Exception, match="parked_messages_settled_by_check"):
            await drop(place, "a", by=by)


async def test_what_does_not_wait_cannot_be_settled(place: Place, notebook: Notebook) -> None:
    with pytest.raises(NothingParked):
        await work_off(place, notebook, "a")
    with pytest.raises(NothingParked):
        await drop(place, "a")


@pytest.mark.thorough
async def test_a_message_handled_before_stays_handled_while_its_stream_waits(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "a")
    notebook.failing = {"order-a/2": 1}
    await take_all(place, notebook)
    first, _ = await place.messages()

    assert await take(place, notebook, first) is Outcome.DUPLICATE
    assert [id_ for id_, _ in await place.parked()] == ids("a", 2)


async def test_parking_what_somebody_else_has_handled_leaves_nothing_waiting(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "a")
    first, second = await place.messages()
    await take(place, notebook, first)

    async with place.pool.connection() as connection:
        await park(connection, notebook.consumer, first, "too late", 3)

    assert await take(place, notebook, second) is Outcome.HANDLED
    assert await place.sql("SELECT FROM parked_streams") == []


async def test_a_message_that_comes_during_a_retry_is_not_left_behind(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "a")
    notebook.failing = {"order-a/1": 1}
    await take_all(place, notebook)
    await place.confirms("a")
    third = (await place.messages())[-1]
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def in_the_middle(received: Received) -> None:
        if received.version == 2:
            begun.set()
            await go_on.wait()

    notebook.during = in_the_middle
    working = asyncio.create_task(work_off(place, notebook, "a"))
    await begun.wait()
    coming = asyncio.create_task(take(place, notebook, third))
    await place.until_stuck(1)
    go_on.set()

    assert (await working).handled == 2
    assert await coming is Outcome.HANDLED
    assert await place.noted() == ids("a", 1, 2, 3)


async def test_what_is_parked_during_a_retry_is_not_left_behind(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "a")
    first, second = await place.messages()
    async with place.pool.connection() as connection:
        await park(connection, notebook.consumer, first, "not yet", 3)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def in_the_middle(_: Received) -> None:
        begun.set()
        await go_on.wait()

    notebook.during = in_the_middle
    working = asyncio.create_task(work_off(place, notebook, "a"))
    await begun.wait()
    async with place.pool.connection() as connection:
        parks = asyncio.create_task(park(connection, notebook.consumer, second, "neither", 3))
        await place.until_stuck(1)
        go_on.set()
        await together(working, parks)

    assert await place.sql("SELECT stream FROM parked_streams") == [("order-a",)]
    await work_off(place, notebook, "a")
    assert await place.noted() == ids("a", 1, 2)


async def test_a_retry_waits_for_a_message_that_is_being_parked_behind(
    place: Place, notebook: Notebook
) -> None:
    await place.confirms("a", "a")
    first, second = await place.messages()
    async with place.pool.connection() as connection:
        await park(connection, notebook.consumer, first, "not yet", 3)
        async with connection.transaction():
            assert await receive(connection, notebook.consumer, second) is Outcome.BEHIND
            working = asyncio.create_task(work_off(place, notebook, "a"))
            await place.until_stuck(1)

    assert (await working).handled == 2
    assert await place.noted() == ids("a", 1, 2)


@pytest.mark.thorough
async def test_two_that_bring_the_same_stream_at_once_keep_its_order(
    place: Place, notebook: Notebook
) -> None:
    """Such as a process that was thought dead beside the one that took over."""
    await place.confirms(*"abababababab")
    notebook.failing = {"order-b/3": 1}

    await together(*(take_all(place, notebook) for _ in range(4)))

    assert await place.noted_of("a") == ids("a", 1, 2, 3, 4, 5, 6)
    if await place.parked():
        await work_off(place, notebook, "b")
    assert await place.noted_of("b") == ids("b", 1, 2, 3, 4, 5, 6)


async def test_what_waits_can_be_seen(place: Place, notebook: Notebook) -> None:
    await place.confirms("a", "b", "a", "c")
    notebook.failing = {"order-a/1": 1, "order-b/1": 1}
    await take_all(place, notebook)

    async with place.pool.connection() as connection:
        first, second = await parked_messages.streams(connection, "notebook")
        rest = await parked_messages.streams(
            connection, "notebook", after=(first.parked_at, first.stream)
        )
        behind = await parked_messages.messages(connection, "notebook", "order-a", after=1)
        counts = await parked_messages.counts(connection)

    assert (first.stream, first.version, first.type, first.attempts, first.waiting) == (
        "order-a",
        1,
        "OrderConfirmed",
        3,
        2,
    )
    assert second.stream == "order-b"
    assert rest == [second]
    assert [(one.version, one.data) for one in behind] == [(2, {"order": "a"})]
    assert counts == {"notebook": (2, 3)}


async def test_it_is_one_statement_beside_the_effect(
    place: Place, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.confirms("a", "b")
    first, second = await place.messages()
    await take(place, notebook, first)
    sent = statements_of(place.url, monkeypatch)
    await take(place, notebook, second)

    assert len(sent) == 2
