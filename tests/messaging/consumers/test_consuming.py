"""The same holds for a consumer whether a broker brings the events or the feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from domain.identifiers import MerchantId, Sku
from domain.inventory.events import StockReceived
from handrail.kernel import Attribution
from handrail.messaging.consumers.inbox import BEHIND
from handrail.messaging.consumers.parked_messages import discard, retry
from handrail.messaging.envelope import Received
from runtime.app import HANDRAIL
from tests.messaging.consumers.lines import (
    FeedLine,
    Line,
    all_settled,
    broker_line,
    killed,
    running,
)
from tests.messaging.consumers.place import Notebook, Place, ids
from tests.projections.world import until


@pytest.fixture(params=["feed", "broker"])
def broker_url(request: pytest.FixtureRequest) -> str | None:
    """None where the feed brings the events. Not asynchronous: inside the event loop no broker
    could be started for it.
    """
    return f"{request.getfixturevalue('broker').url}/%2F" if request.param == "broker" else None


@pytest.fixture
async def line(broker_url: str | None, place: Place, notebook: Notebook) -> AsyncIterator[Line]:
    if broker_url is None:
        yield FeedLine(place, notebook)
        return
    async with broker_line(place, notebook, broker_url) as one:
        yield one


async def worked_off(place: Place, line: Line, notebook: Notebook) -> None:
    await line.send()
    async with running(line.process()):
        await all_settled(place)


async def test_events_have_their_effect_in_the_order_of_their_stream(
    place: Place, line: Line, notebook: Notebook
) -> None:
    await place.confirms(*"abcab" * 10)

    await worked_off(place, line, notebook)

    assert await place.noted_of("a") == ids("a", *range(1, 21))
    assert await place.noted_of("b") == ids("b", *range(1, 21))
    assert await place.noted_of("c") == ids("c", *range(1, 11))


async def test_a_poison_event_holds_up_its_stream_and_no_other(
    place: Place, line: Line, notebook: Notebook
) -> None:
    await place.confirms(*"abababab")
    notebook.failing = {"order-a/2": KeyError("nobody thought of this")}

    await worked_off(place, line, notebook)

    assert await place.noted_of("a") == ids("a", 1)
    assert await place.noted_of("b") == ids("b", 1, 2, 3, 4)
    assert await place.parked() == [
        ("order-a/2", "KeyError: 'nobody thought of this'"),
        ("order-a/3", BEHIND),
        ("order-a/4", BEHIND),
    ]


async def test_once_it_is_mended_the_stream_is_worked_off_in_order_and_flows(
    place: Place, line: Line, notebook: Notebook
) -> None:
    await place.confirms(*"aaa")
    notebook.failing = {"order-a/1": KeyError("nobody thought of this")}
    await worked_off(place, line, notebook)
    notebook.failing = {}

    async with running(line.process()):
        async with place.pool.connection() as connection:
            by = Attribution("ben", "mended in 1.2.3")
            await retry(connection, notebook.consumer, HANDRAIL.codec, "order-a", by)
        await place.confirms("a")
        await line.send()
        await all_settled(place)

    assert await place.noted() == ids("a", 1, 2, 3, 4)
    assert await place.sql(
        "SELECT version, attempts, settled_as, actor, reason FROM parked_messages ORDER BY version"
    ) == [
        (version, 3 * (version == 1), "handled", "ben", "mended in 1.2.3") for version in (1, 2, 3)
    ]


async def test_what_fails_for_a_moment_is_not_parked(
    place: Place, line: Line, notebook: Notebook
) -> None:
    await place.confirms(*"aab")
    notebook.failing = {"order-a/1": 2}

    await worked_off(place, line, notebook)

    assert (await place.parked(), await place.noted_of("a")) == ([], ids("a", 1, 2))


async def test_what_was_discarded_has_no_effect_when_it_comes_again(
    place: Place, line: Line, notebook: Notebook
) -> None:
    await place.confirms(*"aa")
    notebook.failing = {"order-a/1": KeyError("for ever")}
    await worked_off(place, line, notebook)
    async with place.pool.connection() as connection:
        await discard(connection, "notebook", "order-a", Attribution("ann", "ticket 7"))
        await retry(
            connection, notebook.consumer, HANDRAIL.codec, "order-a", Attribution("ann", "ticket 7")
        )
    notebook.failing = {}
    await place.confirms("a")

    await worked_off(place, line, notebook)

    assert await place.noted() == ids("a", 2, 3)


async def test_killed_between_effect_and_acknowledgement_it_has_one_effect(
    place: Place, line: Line, notebook: Notebook
) -> None:
    """In the middle of the transaction, and again right after it."""
    await place.confirms(*"ab")
    reached, never = asyncio.Event(), asyncio.Event()

    async def stand_still(received: Received) -> None:
        if received.id == "order-a/1":
            reached.set()
            await never.wait()

    notebook.during = stand_still
    await line.send()
    async with killed(line.process()):
        await reached.wait()
    assert "order-a/1" not in await place.noted()

    notebook.during = None
    async with killed(line.process()):
        await all_settled(place)
    async with running(line.process()):
        await place.confirms("a")
        await line.send()
        await all_settled(place)

    assert sorted(await place.noted()) == [*ids("a", 1, 2), *ids("b", 1)]


async def test_what_a_consumer_does_not_want_is_passed_over(
    place: Place, line: Line, notebook: Notebook
) -> None:
    received = StockReceived(
        merchant=MerchantId("m"),
        sku=Sku("cup"),
        delivery="d",
        quantity=1,
        available=1,
        reserved=0,
    )
    await place.append("stock-m:cup", received)
    await place.confirms("a")

    await line.send()
    async with running(line.process()):
        await until(lambda: _has(place, "order-a/1"))

    assert notebook.tried == ids("a", 1)
    assert await place.parked() == []


async def test_a_database_that_is_not_as_it_should_be_parks_nothing(
    place: Place, line: Line, notebook: Notebook
) -> None:
    await place.confirms(*"aab")
    await line.send()
    await place.sql("ALTER TABLE notes RENAME TO mislaid")
    async with running(line.process()):
        await until(lambda: _tried(notebook, 3))
        assert await place.inbox() == set()
        await place.sql("ALTER TABLE mislaid RENAME TO notes")
        await all_settled(place)

    assert await place.parked() == []
    assert await place.noted_of("a") == ids("a", 1, 2)


@pytest.mark.quick(1)
async def test_several_processes_share_the_work_and_keep_the_order(
    place: Place, line: Line, notebook: Notebook
) -> None:
    processes = [line.process() for _ in range(3)]
    async with running(*processes):
        for _ in range(5):
            await place.confirms(*"abcdef")
            await line.send()
        await all_settled(place)

    for order in "abcdef":
        assert await place.noted_of(order) == ids(order, 1, 2, 3, 4, 5)


async def _has(place: Place, id_: str) -> bool:
    return id_ in await place.noted()


async def _tried(notebook: Notebook, times: int) -> bool:
    return notebook.tried.count("order-a/1") >= times
