"""A message has its effect once: it is noted in the inbox in the same transaction.

Any number of sources may bring the same messages at the same time, such as two processes, or a
queue and the feed. As long as each brings those of a stream in their order, and a later one only
once the earlier one was handled or parked, they are handled in that order.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from psycopg.types.json import Jsonb

from eventstore.pool import Connection
from messaging.consumer import Consumer
from messaging.envelope import Received


class Outcome(Enum):
    HANDLED = auto()
    DUPLICATE = auto()
    """It was handled or discarded before, and had no effect now."""
    BEHIND = auto()
    """An earlier one of its stream is parked, so it was parked behind it."""


BEHIND: Final = "waits behind an earlier message"

# The row of a parked stream is locked: who works it off at the moment is waited for, and who will
# has to wait.
_NOTE: Final = """
WITH parked AS MATERIALIZED (
    SELECT FROM parked_streams WHERE consumer = %(consumer)s AND stream = %(stream)s FOR SHARE
), noted AS (
    INSERT INTO inbox (consumer, id) SELECT %(consumer)s, %(id)s
    WHERE NOT EXISTS (SELECT FROM parked) ON CONFLICT DO NOTHING RETURNING id
)
SELECT EXISTS (SELECT FROM noted), EXISTS (SELECT FROM parked),
    EXISTS (SELECT FROM inbox WHERE consumer = %(consumer)s AND id = %(id)s)
"""

_KEEP: Final = """
INSERT INTO parked_messages (consumer, stream, version, position, type, schema, recorded_at,
    metadata, data, cause, attempts)
SELECT %(consumer)s, %(stream)s, %(version)s, %(position)s, %(type)s, %(schema)s, %(recorded_at)s,
    %(metadata)s, %(data)s, %(cause)s, %(attempts)s
WHERE NOT EXISTS (SELECT FROM inbox WHERE consumer = %(consumer)s AND id = %(id)s)
ON CONFLICT DO NOTHING
"""


async def receive(connection: Connection, consumer: Consumer, received: Received) -> Outcome:
    """Handle the message and note it, both or neither.

    Raises whatever `handle` raises, and then nothing was kept.
    """
    async with connection.transaction():
        cursor = await connection.execute(
            _NOTE,
            {"consumer": consumer.name, "stream": received.stream, "id": received.id},
        )
        noted, parked, known = await cursor.fetchone() or (False, False, False)
        if noted:
            await consumer.handle(connection, received)
            return Outcome.HANDLED
        if not parked or known:
            return Outcome.DUPLICATE
        await _keep(connection, consumer, received, BEHIND, 0)
        return Outcome.BEHIND


async def park(
    connection: Connection, consumer: Consumer, received: Received, cause: str, attempts: int
) -> None:
    """The message waits for a person, and so do those of its stream that come later."""
    async with connection.transaction():
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
