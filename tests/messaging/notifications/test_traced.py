"""A notification is sent in the trace of the event that it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from handrail.notifications import queue
from handrail.notifications.enqueue import Row, write
from handrail.tracing import spans
from tests.messaging.notifications.world import World
from tests.tracing.recording import recording

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def row(source: str) -> Row:
    now = datetime.now(UTC)
    return Row(
        source=source,
        channel="email",
        kind="order-confirmed",
        recipient="ann",
        about="o-1",
        language="en",
        subject="Subject",
        body="Body",
        state="waiting",
        due_at=now - timedelta(minutes=1),
        expires_at=now + timedelta(days=1),
        reason=None,
        traceparent=spans.stored_traceparent(),
    )


async def test_what_is_enqueued_while_an_event_is_handled_keeps_its_trace(world: World) -> None:
    await world.knows("ann")
    with recording(), spans.handling("handle", {spans.TRACEPARENT: TRACE}):
        traced = row("order-1/1")
    async with world.pool.connection() as connection:
        await write(connection, [traced, row("order-2/1")])
        found = await queue.take(connection, "transactional", 10, timedelta(minutes=1))
    assert {one.source: one.traceparent for one in found} == {"order-1/1": TRACE, "order-2/1": None}


async def test_a_message_without_a_trace_is_sent_and_makes_no_span(world: World) -> None:
    """As those are that an older release has put into the queue."""
    await world.knows("ann")
    await world.enqueue("m-1", "ann")
    with recording() as kept:
        async with world.pool.connection() as connection:
            [due] = await queue.take(connection, "transactional", 10, timedelta(minutes=1))
        with spans.handling("notify", {spans.TRACEPARENT: due.traceparent}):
            pass
        assert not kept.get_finished_spans()
