"""A message has its effect once: it is noted in the inbox in the same transaction.

A message that comes again is a duplicate because the inbox has its id or, whenever it comes,
because the consumer's own checkpoint covers its event: so the inbox need not be kept for ever.

Any number of sources may bring the same messages at the same time, such as two processes, or a
queue and the feed. As long as each brings those of a stream in their order, and a later one only
once the earlier one was handled or parked, they are handled in that order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Final

from psycopg.types.json import Jsonb

from handrail.eventstore.pool import Connection
from handrail.eventstore.unread_forms import check_reads
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.coverage import IS_COVERED
from handrail.messaging.consumers.stored_form import as_stored
from handrail.messaging.envelope import Received
from handrail.tracing import spans


class Outcome(Enum):
    HANDLED = auto()
    DUPLICATE = auto()
    """It was handled or discarded before, whenever that was, and had no effect now."""
    BEHIND = auto()
    """An earlier one of its stream is parked, so it was parked behind it."""


BEHIND: Final = "waits behind an earlier message"

# The rows of parked streams are locked: who works one off at the moment is waited for, and who will
# has to wait. What somebody else has noted and not yet committed is waited for, too. The event is
# found by its position, and must be the very one: a message of an event that the store does not
# have is covered by nothing.
_NOTE: Final = f"""
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::text[], %(streams)s::text[], %(versions)s::bigint[],
        %(positions)s::bigint[]) AS given (id, stream, version, position)
), parked AS MATERIALIZED (
    SELECT stream FROM parked_streams
    WHERE consumer = %(consumer)s AND stream = ANY (%(streams)s::text[]) ORDER BY stream FOR SHARE
), covered AS MATERIALIZED (
    SELECT g.id FROM given g JOIN events e ON e.position = g.position
    WHERE %(by_checkpoint)s AND e.stream = g.stream AND e.version = g.version AND {IS_COVERED}
), noted AS (
    INSERT INTO inbox (consumer, id) SELECT %(consumer)s, id FROM given
    WHERE stream NOT IN (SELECT stream FROM parked) AND id NOT IN (SELECT id FROM covered)
    ON CONFLICT DO NOTHING RETURNING id
)
SELECT g.id, g.id IN (SELECT id FROM noted), g.stream IN (SELECT stream FROM parked)
    AND NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = %(consumer)s AND i.id = g.id)
    AND (g.id NOT IN (SELECT id FROM covered) OR EXISTS (
        SELECT FROM parked_messages m WHERE m.consumer = %(consumer)s AND m.stream = g.stream
            AND m.version = g.version AND m.settled_at IS NULL))
FROM given g
"""

# One that was settled and comes once more, which only a rewind brings about, waits again.
_KEEP: Final = """
INSERT INTO parked_messages (consumer, stream, version, position, type, schema, recorded_at,
    metadata, data, cause, attempts)
SELECT %(consumer)s, %(stream)s, %(version)s, %(position)s, %(type)s, %(schema)s, %(recorded_at)s,
    %(metadata)s, %(data)s, %(cause)s, %(attempts)s
WHERE NOT EXISTS (SELECT FROM inbox WHERE consumer = %(consumer)s AND id = %(id)s)
ON CONFLICT (consumer, stream, version) DO UPDATE SET cause = excluded.cause,
    attempts = excluded.attempts, parked_at = excluded.parked_at, settled_at = NULL,
    settled_as = NULL, actor = NULL, reason = NULL
WHERE parked_messages.settled_at IS NOT NULL
"""


async def receive(
    connection: Connection, consumer: Consumer, received: Received, *, from_feed: bool = False
) -> Outcome:
    """Handle the message and note it, both or neither.

    Raises whatever `handle` raises, and UnknownMessage for a message of newer code; then nothing
    was kept.
    """
    [outcome] = await receive_all(connection, consumer, [received], from_feed=from_feed)
    return outcome


async def receive_all(
    connection: Connection,
    consumer: Consumer,
    messages: Sequence[Received],
    *,
    from_feed: bool = False,
) -> Sequence[Outcome]:
    """The same for several, those of each stream in their order: all of them or none.

    `from_feed`: they are what the consumer's checkpoint is being moved over in this transaction, so
    it covers them only now; the inbox alone tells which of them came before.
    """
    outcomes = []
    async with connection.transaction():
        messages = await as_stored(connection, messages)
        cursor = await connection.execute(
            _NOTE,
            {
                "consumer": consumer.name,
                "follower": consumer.follower,
                "ids": [message.id for message in messages],
                "streams": [one.stream for one in messages],
                "versions": [one.version for one in messages],
                "positions": [one.position for one in messages],
                "by_checkpoint": not from_feed,
            },
        )
        found = {id_: (new, behind) for id_, new, behind in await cursor.fetchall()}
        for received in messages:
            new, behind = found[received.id]
            if new:
                # Who sends it until that is confirmed may have sent it twice in a row.
                found[received.id] = (False, False)
                check_reads(received.codec, received.type, received.schema)
                with spans.handling(f"handle {consumer.name}", received.metadata) as span:
                    if span.is_recording():
                        span.set_attributes(_said(consumer, received))
                    await consumer.take(connection, received)
                outcomes.append(Outcome.HANDLED)
            elif behind:
                await _keep(connection, consumer, received, BEHIND, 0)
                outcomes.append(Outcome.BEHIND)
            else:
                outcomes.append(Outcome.DUPLICATE)
    return outcomes


def _said(consumer: Consumer, received: Received) -> Mapping[str, str | int]:
    return {
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": consumer.name,
        "messaging.message.id": received.id,
        "handrail.event_type": received.type,
        "handrail.position": received.position,
    }


async def park(
    connection: Connection, consumer: Consumer, received: Received, cause: str, attempts: int
) -> None:
    """The message waits for a person, and so do those of its stream that come later."""
    async with connection.transaction():
        [received] = await as_stored(connection, [received])
        # It changes nothing where the stream is parked already, but it waits for who works it off.
        await connection.execute(
            "INSERT INTO parked_streams AS p (consumer, stream) VALUES (%s, %s)"
            " ON CONFLICT (consumer, stream) DO UPDATE SET parked_at = p.parked_at",
            (consumer.name, received.stream),
        )
        if not await _keep(connection, consumer, received, cause, attempts):
            # Somebody else was faster to handle it: nothing may wait behind nothing.
            await free(connection, consumer.name, received.stream)


async def free(connection: Connection, consumer: str, stream: str) -> bool:
    """The stream flows again, unless a message of it still waits."""
    freed = await connection.execute(
        "DELETE FROM parked_streams WHERE consumer = %(consumer)s AND stream = %(stream)s"
        " AND NOT EXISTS (SELECT FROM parked_messages m WHERE m.consumer = %(consumer)s"
        " AND m.stream = %(stream)s AND m.settled_at IS NULL)",
        {"consumer": consumer, "stream": stream},
    )
    return bool(freed.rowcount)


async def _keep(
    connection: Connection, consumer: Consumer, received: Received, cause: str, attempts: int
) -> bool:
    kept = await connection.execute(
        _KEEP,
        {
            "consumer": consumer.name,
            "id": received.id,
            "stream": received.stream,
            "version": received.version,
            "position": received.position,
            "type": received.type,
            "schema": received.schema,
            "recorded_at": received.recorded_at,
            "metadata": Jsonb(dict(received.metadata)),
            "data": Jsonb(received.data),
            "cause": cause,
            "attempts": attempts,
        },
    )
    return bool(kept.rowcount)
