"""Messages of newer code wait at a consumer for a process that reads them, and are never poison."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from domain.identifiers import OrderId
from domain.ordering.events import OrderConfirmed
from handrail.eventstore import newer_code_waits
from handrail.eventstore.codec import Codec
from handrail.evolution.changes import NewVersion
from handrail.messaging.consumers import retry_readable as retrying
from handrail.messaging.consumers.catch_up import Settling
from handrail.messaging.consumers.inbox import BEHIND
from handrail.messaging.consumers.retry_readable import keep_retrying, retry_readable
from handrail.messaging.consumers.store_consumer import NewerCodeNeeded, catch_up
from runtime.app import HANDRAIL
from tests.messaging.consumers.lines import (
    BrokerLine,
    FeedLine,
    Line,
    Process,
    all_settled,
    broker_line,
    running,
)
from tests.messaging.consumers.place import Notebook, Place, ids
from tests.projections.world import until

OLD = HANDRAIL.codec
NEW = Codec(HANDRAIL.codec.classes, [NewVersion("OrderConfirmed", 2, ())])
UNREAD = "UnknownMessage: OrderConfirmed v2"


async def told(place: Place) -> None:
    """Of `a` the second event is of newer code."""
    await place.confirms(*"ab")
    await place.append("order-a", OrderConfirmed(order=OrderId("a")), codec=NEW)
    await place.confirms(*"ab")


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "LOOKS", 0.05)


@pytest.fixture(params=["feed", "broker"])
def broker_url(request: pytest.FixtureRequest) -> str | None:
    return f"{request.getfixturevalue('broker').url}/%2F" if request.param == "broker" else None


@pytest.fixture
async def line(broker_url: str | None, place: Place, notebook: Notebook) -> AsyncIterator[Line]:
    if broker_url is None:
        yield FeedLine(place, notebook)
        return
    async with broker_line(place, notebook, broker_url) as one:
        yield one


@pytest.fixture
async def queue(
    request: pytest.FixtureRequest, place: Place, notebook: Notebook
) -> AsyncIterator[BrokerLine]:
    async with broker_line(place, notebook, f"{_url(request)}/%2F") as one:
        yield one


def _url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("broker").url
    return url


@asynccontextmanager
async def at_work(
    place: Place, notebook: Notebook, process: Process, codec: Codec
) -> AsyncIterator[None]:
    """A process of the consumer with all that runs in it."""
    looking = asyncio.create_task(keep_retrying(place.pool, notebook.consumer, codec))
    try:
        async with running(process):
            yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def test_old_and_new_processes_handle_each_event_once_and_in_order(
    place: Place, line: Line, notebook: Notebook
) -> None:
    await told(place)
    await line.send()
    async with at_work(place, notebook, line.process(OLD), OLD):
        await until(_noted(place, "b", 2))
        await until(_waits(place))
        before = await place.noted_of("a")
        async with at_work(place, notebook, line.process(NEW), NEW):
            await until(_noted(place, "a", 3))

    assert before == ids("a", 1)
    assert await place.noted_of("a") == ids("a", 1, 2, 3)
    assert await place.noted_of("b") == ids("b", 1, 2)
    assert await place.parked() == []
    assert await place.sql("SELECT FROM parked_streams") == []


async def test_the_old_process_goes_on_once_the_new_one_is_gone(
    place: Place, line: Line, notebook: Notebook
) -> None:
    await told(place)
    await line.send()
    async with at_work(place, notebook, line.process(OLD), OLD):
        await until(_waits(place))
        async with at_work(place, notebook, line.process(NEW), NEW):
            await until(_noted(place, "a", 3))
        await place.confirms("a")
        await line.send()
        await until(_noted(place, "a", 4))

    assert await place.noted_of("a") == ids("a", 1, 2, 3, 4)


async def test_from_the_store_the_shard_waits_and_nothing_is_parked(
    place: Place, notebook: Notebook
) -> None:
    await told(place)

    with pytest.raises(NewerCodeNeeded, match="OrderConfirmed v2 at position"):
        await catch_up(place.pool, notebook.consumer, OLD, lease=1.0)

    assert await place.parked() == []
    async with place.pool.connection() as connection:
        [waits] = await newer_code_waits.waiting(connection, [notebook.consumer.follower])
    assert (waits.stream, waits.type, waits.schema) == ("order-a", "OrderConfirmed", 2)


async def test_from_a_queue_the_message_is_set_aside_and_no_delivery_fails(
    place: Place, queue: BrokerLine, notebook: Notebook
) -> None:
    await told(place)
    await queue.send()
    with capture_logs() as logs:
        async with running(process := queue.process(OLD)):
            await all_settled(place)
            await until(lambda: _equals(process.in_flight, 0))

    assert await place.parked() == [("order-a/2", UNREAD), ("order-a/3", BEHIND)]
    assert (process.counted.waiting, process.counted.rejected) == (1, 0)
    assert await queue.waiting() == 0
    assert await queue.waiting(queue.dead) == 0
    assert [one["id"] for one in logs if one["event"] == "waits for newer code"] == ["order-a/2"]


async def test_a_message_of_newer_code_does_not_reach_the_handler(
    place: Place, queue: BrokerLine, notebook: Notebook
) -> None:
    notebook.decodes = False
    await told(place)
    await queue.send()
    async with running(queue.process(OLD)):
        await all_settled(place)

    assert "order-a/2" not in notebook.tried


async def test_a_message_that_newer_code_has_handled_is_a_duplicate_to_older_code(
    place: Place, queue: BrokerLine, notebook: Notebook
) -> None:
    await told(place)
    await queue.send()
    async with running(queue.process(NEW)):
        await all_settled(place)
    await queue.send(again=True)
    async with running(process := queue.process(OLD)):
        await until(lambda: _equals(process.counted.duplicates, 5))

    assert await place.parked() == []


async def test_what_the_broker_did_not_bring_is_set_aside_too(
    place: Place, notebook: Notebook
) -> None:
    await told(place)

    await Settling(place.pool, notebook.consumer, OLD, patience=0, lease=1.0).catch_up()

    assert await place.parked() == [("order-a/2", UNREAD), ("order-a/3", BEHIND)]
    assert await place.noted_of("b") == ids("b", 1, 2)


async def test_what_earlier_releases_parked_goes_on_with_code_that_reads_it(
    place: Place, notebook: Notebook
) -> None:
    await told(place)
    await Settling(place.pool, notebook.consumer, OLD, patience=0, lease=1.0).catch_up()
    await place.sql("UPDATE parked_messages SET attempts = 3 WHERE version = 2")

    async with place.pool.connection() as connection:
        assert await retry_readable(connection, notebook.consumer, OLD) == 0
        assert await retry_readable(connection, notebook.consumer, NEW) == 2

    assert await place.noted_of("a") == ids("a", 1, 2, 3)
    assert await place.sql(
        "SELECT DISTINCT settled_as, actor, reason FROM parked_messages ORDER BY 1"
    ) == [("handled", "handrail", "the code reads now what it could not read")]


async def test_what_is_parked_for_another_cause_is_left_to_a_person(
    place: Place, notebook: Notebook
) -> None:
    notebook.failing = {"order-a/1": KeyError("nobody thought of this")}
    await place.append("order-a", OrderConfirmed(order=OrderId("a")))
    await Settling(place.pool, notebook.consumer, OLD, patience=0, lease=1.0).catch_up()
    notebook.failing = {}

    async with place.pool.connection() as connection:
        assert await retry_readable(connection, notebook.consumer, NEW) == 0


def _noted(place: Place, order: str, count: int) -> Callable[[], Awaitable[bool]]:
    async def noted() -> bool:
        return len(await place.noted_of(order)) >= count

    return noted


def _waits(place: Place) -> Callable[[], Awaitable[bool]]:
    """In the shard, or set aside with what came from the queue."""

    async def waits() -> bool:
        [(found,)] = await place.sql(
            "SELECT (SELECT count(*) FROM newer_code_waits)"
            " + (SELECT count(*) FROM parked_messages WHERE cause = :cause)",
            cause=UNREAD,
        )
        return bool(found)

    return waits


async def _equals(value: int, expected: int) -> bool:
    return value == expected
