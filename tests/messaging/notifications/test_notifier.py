"""Messages leave the queue by a real HTTP provider: each once, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from tests.messaging.notifications.world import World, sent_twice
from tests.projections.world import until

SHORT = timedelta(seconds=0.5)


async def many(world: World, count: int, **columns: str) -> None:
    """Messages from m-1 on, to one customer who can be reached."""
    await world.knows("many", **columns)
    await world.sql(
        "INSERT INTO notifications (lane, source, channel, kind, customer, language, subject,"
        " body, state, due_at)"
        " SELECT 'transactional', 'm-' || n, 'email', 'order-confirmed', 'many', 'en', 's', 'b',"
        " 'waiting', now() FROM generate_series(1, %s) AS n",
        count,
    )


async def one(world: World, to: str, **columns: object) -> None:
    await world.knows("ann", email=to)
    await world.enqueue("m-1", "ann", **columns)


async def standing(world: World) -> tuple[str, int, str | None]:
    [row] = await world.sql("SELECT state, attempts, reason FROM notifications")
    return row


async def test_a_message_is_carried_as_it_was_written(world: World) -> None:
    await one(world, "mail@example.org")
    async with world.notifying():
        await until(world.nothing_waits)
    [carried] = await world.carried()
    assert carried == {
        "key": "m-1/email/1",
        "id": carried["id"],
        "channel": "email",
        "to": "mail@example.org",
        "subject": "Subject",
        "text": "About m-1",
    }
    [row] = await world.sql("SELECT state, provider_id, address, attempts FROM notifications")
    assert row == ("sent", carried["id"], "mail@example.org", 1)


async def test_what_is_not_due_yet_is_left_alone(world: World) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await one(world, "mail")
    await world.enqueue("m-2", "ann", due_at=tomorrow)
    async with world.notifying():
        await until(world.nothing_waits)
    assert [message["key"] for message in await world.carried()] == ["m-1/email/1"]
    assert (await world.states("due_at"))["m-2", "email"] == tomorrow


async def test_a_failure_is_tried_again(world: World) -> None:
    await one(world, "to_error_2")
    async with world.notifying():
        await until(world.nothing_waits)
    assert await standing(world) == ("sent", 3, None)
    assert len(await world.carried()) == 1


async def test_an_answer_that_is_lost_sends_nothing_twice(world: World) -> None:
    await one(world, "to_lost")
    async with world.notifying():
        await until(world.nothing_waits)
    assert await standing(world) == ("sent", 2, None)
    assert len(await world.carried()) == 1


async def test_what_cannot_be_sent_is_parked_with_the_reason(world: World) -> None:
    await one(world, "to_broken")
    async with world.notifying(attempts=3):
        await until(world.nothing_waits)
    assert await standing(world) == ("parked", 3, "HTTP 500")


async def test_an_address_that_nobody_can_reach_is_not_tried_again(world: World) -> None:
    await one(world, "to_declined")
    async with world.notifying():
        await until(world.nothing_waits)
    assert await standing(world) == ("failed", 1, "unreachable")
    assert await world.carried() == []


async def test_a_queue_that_is_not_there_is_waited_for_as_while_a_dump_is_restored(
    world: World,
) -> None:
    await one(world, "mail@example.org")
    await world.sql("ALTER TABLE notifications RENAME TO notifications_away")
    with structlog.testing.capture_logs() as logs:

        async def has_looked() -> bool:
            return any(entry["event"] == "the queue cannot be asked" for entry in logs)

        async with world.notifying():
            await until(has_looked)
            await world.sql("ALTER TABLE notifications_away RENAME TO notifications")
            await until(world.nothing_waits)

    assert len(await world.carried()) == 1


async def test_a_provider_that_is_away_is_waited_for(world: World) -> None:
    await many(world, 20)
    await world.provider.post("/faults", json={"down_for": 0.5})
    async with world.notifying(attempts=20):
        await until(world.nothing_waits)
    assert set((await world.states()).values()) == {"sent"}
    assert len(await world.carried()) == 20


@pytest.mark.thorough
async def test_an_outage_of_the_provider_parks_no_queue(world: World) -> None:
    """A few messages find out when it is back; the others have not even been tried."""
    await many(world, 300)
    await world.provider.post("/faults", json={"down_for": 1})
    async with world.notifying(attempts=4):
        await until(world.nothing_waits)
    assert set((await world.states()).values()) == {"sent"}
    tries = sorted((await world.states("attempts")).values())
    assert tries[0] == 1
    assert sum(tries) < 300 + 16 + 16


@pytest.mark.thorough
async def test_every_third_request_goes_wrong_and_each_message_arrives_once(world: World) -> None:
    await many(world, 200)
    await world.provider.post("/faults", json={"error_rate": 0.3, "seed": 1})
    async with world.notifying(2, attempts=20):
        await until(world.nothing_waits)
    carried = await world.carried()
    assert len(carried) == 200
    assert not sent_twice(carried)
    assert set((await world.states()).values()) == {"sent"}


@pytest.mark.thorough
async def test_the_provider_says_how_fast_it_goes(world: World) -> None:
    """Whom it turns away comes back when it said, and that was no failed try."""
    await many(world, 30)
    await world.limit(per_second=8)
    async with world.notifying(2) as notifiers:
        await until(world.nothing_waits)
    assert set((await world.states("attempts")).values()) == {1}
    assert len(await world.carried()) == 30
    assert sum(one.counts["transactional", "throttled"] for one in notifiers) > 0


@pytest.mark.thorough
async def test_several_share_the_work(world: World) -> None:
    await many(world, 300)
    async with world.notifying(3) as notifiers:
        await until(world.nothing_waits)
    counts = [one.counts["transactional", "sent"] for one in notifiers]
    assert sum(counts) == 300
    assert min(counts) > 0
    assert not sent_twice(await world.carried())


@pytest.mark.thorough
async def test_one_that_dies_loses_nothing_and_sends_nothing_twice(world: World) -> None:
    """The provider carries what it was handed, and nobody was there to hear it."""
    await many(world, 40, email="to_late_0.2")
    async with world.notifiers(lease=SHORT) as [dying]:
        task = asyncio.create_task(dying.run(asyncio.Event()))
        await until(lambda: _is_sending(dying))
        task.cancel()
        await asyncio.wait({task})
    assert set((await world.states()).values()) == {"waiting"}
    async with world.notifying(lease=SHORT):
        await until(world.nothing_waits)
    carried = await world.carried()
    assert len(carried) == 40
    assert not sent_twice(carried)
    assert set((await world.states()).values()) == {"sent"}


async def _is_sending(notifier: object) -> bool:
    return len(notifier._sending) == 16  # type: ignore[attr-defined]


@pytest.mark.thorough
async def test_connections_that_break_lose_nothing(world: World) -> None:
    await many(world, 200, email="to_late_0.01")
    async with world.notifying(2, lease=SHORT):
        for _ in range(3):
            await until(lambda: _some_more(world))
            await world.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await until(world.nothing_waits)
    assert not sent_twice(await world.carried())
    assert set((await world.states()).values()) == {"sent"}


async def _some_more(world: World) -> bool:
    return len(await world.carried()) > 0


async def test_a_late_try_does_not_ring_at_night(world: World) -> None:
    now = datetime.now(UTC)
    begin, end = (now - timedelta(hours=1)).time(), (now + timedelta(hours=1)).time()
    await world.knows("ann", quiet_from=begin, quiet_until=end)
    await world.enqueue("m-1", "ann", channel="push", kind="shipment-delivered")
    await world.enqueue("m-2", "ann", channel="email", kind="shipment-lost")
    await world.enqueue("m-3", "ann", channel="push", kind="order-confirmed")
    async with world.notifying():
        await until(lambda: _reason(world, "quiet hours"))
        await until(lambda: _carried(world, 2))
    assert {message["key"] for message in await world.carried()} == {"m-2/email/1", "m-3/push/1"}
    morning = (await world.states("due_at"))["m-1", "push"]
    assert morning == now + timedelta(hours=1)


async def _reason(world: World, reason: str) -> bool:
    return reason in (await world.states("reason")).values()


async def _carried(world: World, count: int) -> bool:
    return len(await world.carried()) == count


async def test_the_second_try_goes_where_the_first_went(world: World) -> None:
    """The provider may have it already: under the same key it must get the same content."""
    await one(world, "to_lost")
    async with world.notifying(backoff=0.2):
        await until(lambda: _reason(world, "HTTP 504"))
        await world.sql("UPDATE notification_contacts SET email = 'elsewhere'")
        await until(world.nothing_waits)
    [carried] = await world.carried()
    assert carried["to"] == "to_lost"
    assert await world.states() == {("m-1", "email"): "sent"}


async def test_a_first_try_goes_where_the_customer_is_now(world: World) -> None:
    """Being turned away is no try."""
    await one(world, "before")
    await world.limit(per_second=0.001)
    await world.provider.post(
        "/messages",
        json={"channel": "sms", "to": "x", "text": "x"},
        headers={"Idempotency-Key": "x"},
    )
    async with world.notifying():
        await until(lambda: _reason(world, "too many at once"))
    await world.sql("UPDATE notification_contacts SET email = 'after'")
    await world.sql("UPDATE notifications SET due_at = now()")
    await world.limit(per_second=None)
    async with world.notifying():
        await until(world.nothing_waits)
    assert [message["to"] for message in await world.carried()] == ["x", "after"]


async def test_a_customer_who_was_erased_is_left_in_peace(world: World) -> None:
    await one(world, "mail")
    await world.sql("DELETE FROM notification_contacts")
    async with world.notifying():
        await until(world.nothing_waits)
    assert await standing(world) == ("withheld", 0, "no address")


async def test_what_is_being_sent_is_finished_and_noted_before_the_end(world: World) -> None:
    await many(world, 16, email="to_late_0.3")
    async with world.notifying() as [notifier]:
        await until(lambda: _is_sending(notifier))
    assert set((await world.states()).values()) == {"sent"}


@pytest.mark.thorough
async def test_a_message_that_no_one_understands_stops_no_other(world: World) -> None:
    await one(world, "mail", kind="of-a-later-version")
    await world.enqueue("m-2", "ann")
    async with world.notifying(attempts=2):
        await until(world.nothing_waits)
    assert await world.states() == {("m-1", "email"): "parked", ("m-2", "email"): "sent"}
    assert "of-a-later-version" in (await world.states("reason"))["m-1", "email"]


async def test_two_who_take_at_once_take_different_messages(world: World) -> None:
    from handrail.notifications import queue  # noqa: PLC0415

    await many(world, 30)
    lease = timedelta(seconds=30)
    async with world.pool.connection() as a, world.pool.connection() as b:
        taken = await asyncio.gather(
            *(queue.take(each, "transactional", 15, lease) for each in (a, b))
        )
    sources = [due.source for one_ in taken for due in one_]
    assert len(sources) == len(set(sources)) == 30
