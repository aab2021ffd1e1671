"""What only a broker can do to a consumer: cancel it, hand over, bring nonsense, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from aio_pika import Queue

from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from handrail.messaging.consumers import queue_consumer as consuming
from handrail.messaging.consumers.catch_up import Settling
from handrail.messaging.consumers.queue_consumer import Consuming
from handrail.messaging.consumers.store_consumer import catch_up, has_caught_up
from handrail.messaging.envelope import Received
from runtime.app import HANDRAIL
from tests.messaging.consumers.lines import BrokerLine, all_settled, broker_line, killed, running
from tests.messaging.consumers.place import Notebook, Place, ids
from tests.projections.world import until


@pytest.fixture
async def line(
    broker: EmbeddedRabbitMQ, place: Place, notebook: Notebook
) -> AsyncIterator[BrokerLine]:
    async with broker_line(place, notebook, f"{broker.url}/%2F") as one:
        yield one


async def subscribed(process: Consuming) -> None:
    async with asyncio.timeout(10):
        await process.subscribed.wait()


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"headers": {"ce-id": "order-a/1", "ce-specversion": "1.0"}},
        {"headers": {"ce-id": 7}},
    ],
    ids=["no headers", "half of them", "a number"],
)
async def test_what_is_no_event_is_among_the_dead_letters_and_holds_up_nobody(
    place: Place, line: BrokerLine, properties: dict[str, Any]
) -> None:
    await line.publish(b"\xff\x00 nonsense", **properties)
    await place.confirms("a")
    await line.send()

    async with running(process := line.process()):
        await all_settled(place)
        await until(lambda: _are(line, line.dead, 1))

    assert await place.noted() == ids("a", 1)
    assert await place.parked() == []
    assert process.counted.rejected == 1


async def test_what_is_held_is_not_acknowledged_with_what_comes_later(
    place: Place, line: BrokerLine, notebook: Notebook
) -> None:
    """Later streams are done while a message is still being tried, and those behind it are not."""
    await place.confirms("a")
    notebook.failing = {"order-a/1": 10_000}
    await line.send()
    await line.publish(b"nonsense")
    async with killed(process := line.process(attempts=1_000_000)):
        await until(lambda: _true(notebook.tried.count("order-a/1") > 1))
        for number in range(2, 5):
            await place.confirms(*"abcd")
            await line.send()
            await until(lambda number=number: _true(process.in_flight == number))  # type: ignore[misc]
    assert await place.noted_of("a") == []
    notebook.failing = {}

    async with running(line.process()):
        await all_settled(place)

    assert await place.noted_of("a") == ids("a", 1, 2, 3, 4)
    assert await line.waiting(line.dead) == 1


async def test_messages_that_come_again_have_no_effect(place: Place, line: BrokerLine) -> None:
    await place.confirms(*"abc")
    await line.send()
    await line.send(again=True)

    async with running(process := line.process()):
        await until(lambda: _true(process.counted.duplicates == 3))

    assert sorted(await place.noted()) == [*ids("a", 1), *ids("b", 1), *ids("c", 1)]


async def test_of_an_ordered_queue_one_takes_all_and_another_takes_over_in_order(
    place: Place, line: BrokerLine, notebook: Notebook
) -> None:
    first, second = line.process(), line.process()
    async with killed(first):
        await subscribed(first)
        async with running(second):
            await subscribed(second)
            await place.confirms(*"abab")
            await line.send()
            await all_settled(place)
            assert (first.counted.handled, second.counted.handled) == (4, 0)
    async with running(second):
        notebook.during = _slowly
        async with killed(first := line.process()):
            await place.confirms(*"ababab")
            await line.send()
        await all_settled(place)

    assert await place.noted_of("a") == ids("a", 1, 2, 3, 4, 5)
    assert await place.noted_of("b") == ids("b", 1, 2, 3, 4, 5)


async def test_a_queue_that_was_deleted_is_subscribed_to_again(
    place: Place, line: BrokerLine
) -> None:
    async with running(process := line.process()):
        await subscribed(process)
        await line.delete_queue()
        await until(lambda: _true(not process.subscribed.is_set()))
        await line.declare_queue()
        await subscribed(process)
        await place.confirms("a")
        await line.send()
        await all_settled(place)

    assert process.counted.subscriptions == 2


async def test_a_subscription_that_ended_in_silence_is_noticed(
    place: Place, line: BrokerLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tells the process: its own channel ends the subscription behind its back."""
    taken = list[tuple[Queue, str]]()
    consume = Queue.consume

    async def remembered(queue: Queue, *rest: Any, **more: Any) -> str:
        tag = await consume(queue, *rest, **more)
        taken.append((queue, tag))
        return tag

    monkeypatch.setattr(Queue, "consume", remembered)
    monkeypatch.setattr(consuming, "_WATCH", 0.1)
    async with running(process := line.process()):
        await subscribed(process)
        queue, tag = taken[0]
        await queue.cancel(tag)
        await place.confirms("a")
        await line.send()
        await all_settled(place)

    assert process.counted.subscriptions == 2


async def test_a_broker_that_says_nothing_of_a_subscription_is_asked_again(
    place: Place, line: BrokerLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[Queue]()
    consume = Queue.consume

    async def silent_at_first(queue: Queue, *rest: Any, **more: Any) -> str:
        asked.append(queue)
        if len(asked) == 1:
            # The next one is answered, however slow the machine is.
            monkeypatch.setattr(consuming, "_ANSWERS", 30)
            await asyncio.Event().wait()
        return await consume(queue, *rest, **more)

    monkeypatch.setattr(Queue, "consume", silent_at_first)
    monkeypatch.setattr(consuming, "_ANSWERS", 0.1)
    async with running(process := line.process()):
        await subscribed(process)
        await place.confirms("a")
        await line.send()
        await all_settled(place)

    assert (len(asked), process.counted.subscriptions) == (2, 1)


@pytest.mark.thorough
async def test_while_the_database_is_away_messages_are_held_and_lose_nothing(
    place: Place, line: BrokerLine, notebook: Notebook, postgres: EmbeddedPostgres
) -> None:
    await place.confirms(*"abab")
    stored = await line.stored()
    name = urlsplit(place.url).path.removeprefix("/")
    async with (
        await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin,
        running(process := line.process()),
    ):
        await subscribed(process)
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        try:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            await line.send_these(stored)
            await until(lambda: _true(process.holding))
            assert await line.waiting() == 0  # all are with the process
        finally:
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
            await place.engine.dispose()  # its connections are dead
        await all_settled(place)
        assert process.counted.subscriptions == 1

    assert await line.waiting(line.dead) == 0
    assert await place.parked() == []
    assert await place.noted_of("a") == ids("a", 1, 2)


async def test_it_needs_no_more_rights_than_to_read_its_queue(
    broker: EmbeddedRabbitMQ, place: Place, line: BrokerLine, notebook: Notebook
) -> None:
    async with httpx.AsyncClient(base_url=broker.management_url, trust_env=False) as http:
        user = {"password": "secret", "tags": ""}
        (await http.put("/api/users/reader", json=user)).raise_for_status()
        rights = {"configure": "^$", "write": "^$", "read": f"^{notebook.queue}$"}
        (await http.put("/api/permissions/%2F/reader", json=rights)).raise_for_status()
    url = f"amqp://reader:secret@{broker.url.rpartition('@')[2]}/%2F"
    await place.confirms("a")
    await line.send()

    async with running(Consuming(place.pool, notebook.consumer, HANDRAIL.codec, url)):
        await all_settled(place)

    assert await place.noted() == ids("a", 1)


async def test_no_more_is_taken_than_the_prefetch(
    place: Place, line: BrokerLine, notebook: Notebook
) -> None:
    go_on = asyncio.Event()

    async def wait(_: Received) -> None:
        await go_on.wait()

    notebook.during = wait
    await place.confirms(*"abcdefgh")
    await line.send()
    async with running(process := line.process(prefetch=3)):
        await until(lambda: _true(process.in_flight == 3))
        assert await line.waiting() == 5
        go_on.set()
        await all_settled(place)


async def test_a_process_told_to_end_finishes_what_it_began_and_leaves_the_rest(
    place: Place, line: BrokerLine, notebook: Notebook
) -> None:
    stop, reached, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(_: Received) -> None:
        reached.set()
        await go_on.wait()

    notebook.during = wait
    await place.confirms(*"a" * 100)
    await line.send()
    ending = asyncio.create_task(line.process().run(stop))
    await reached.wait()
    stop.set()
    go_on.set()
    await ending

    done = await place.noted()
    assert 1 <= len(done) < 100
    assert done == ids("a", *range(1, len(done) + 1))
    await until(lambda: _are(line, "", 100 - len(done)))


async def test_what_a_queue_has_missed_is_handled_from_the_store(
    place: Place, line: BrokerLine, notebook: Notebook
) -> None:
    """As when its binding was late, or a federation has lost its link."""
    await place.confirms(*"ab")
    settling = Settling(
        place.pool, notebook.consumer, HANDRAIL.codec, patience=0.05, poll=0.01, lease=1.0
    )

    async with running(line.process(), settling):
        await all_settled(place)
        await place.confirms("a")
        await line.send()
        await all_settled(place)
        await until(lambda: _seen_all(place, notebook))

    assert await place.noted_of("a") == ids("a", 1, 2)
    assert await place.noted_of("b") == ids("b", 1)
    assert settling.late >= 2


async def test_the_checkpoint_waits_for_what_the_broker_has_not_brought(
    place: Place, line: BrokerLine, notebook: Notebook
) -> None:
    settling = Settling(
        place.pool, notebook.consumer, HANDRAIL.codec, patience=600, poll=0.01, lease=1.0
    )
    async with running(line.process(), settling):
        await until(lambda: _true(settling.reading.is_set()))
        await place.confirms(*"ab")
        assert not await _seen_all(place, notebook)
        await line.send()
        await until(lambda: _seen_all(place, notebook))

    assert settling.late == 0


async def test_a_new_consumer_is_given_everything_then_takes_its_queue(
    place: Place, line: BrokerLine, notebook: Notebook
) -> None:
    """The queue has a part of it: what was published once it was bound."""
    await place.confirms(*"abab")
    await line.send()
    await line.lose()
    await place.confirms(*"ab")
    await line.send()

    await catch_up(place.pool, notebook.consumer, HANDRAIL.codec, poll=0.005, lease=1.0)
    assert await place.noted_of("a") == ids("a", 1, 2, 3)
    async with running(process := line.process()):
        await place.confirms(*"ab")
        await line.send()
        await all_settled(place)

    assert process.counted.duplicates == 2
    assert await place.noted_of("a") == ids("a", 1, 2, 3, 4)
    assert await place.noted_of("b") == ids("b", 1, 2, 3, 4)


async def _are(line: BrokerLine, queue: str, count: int) -> bool:
    return await line.waiting(queue) == count


async def _true(condition: bool) -> bool:  # noqa: FBT001  # for `until`
    return condition


async def _slowly(_: Received) -> None:
    await asyncio.sleep(0)


async def _seen_all(place: Place, notebook: Notebook) -> bool:
    async with place.pool.connection() as connection:
        cursor = await connection.execute("SELECT pg_current_snapshot()::text")
        [(goal,)] = await cursor.fetchall()
        return await has_caught_up(connection, notebook.consumer, goal)
