"""Streams that wait for a person: seen, worked off in order, or a message of one discarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded
from handrail.eventstore.unread_forms import check_reads, may_be_unread
from handrail.kernel import Attribution
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.failure_kind import cause_of, is_of_the_database
from handrail.messaging.consumers.inbox import free
from handrail.messaging.envelope import Received, id_of, received_from_store

IS_UNREAD: Final = may_be_unread("head.cause")
CHUNK: Final = 100
"""Messages that a retry handles in one transaction."""


class NothingParked(LookupError):
    """The stream does not wait, or not for this message."""


@dataclass(frozen=True)
class ParkedStream:
    """`version`, `type`, `cause` and `attempts` are those of the message that stopped it; `waiting`
    counts it and those behind it.
    """

    stream: str
    parked_at: datetime
    version: int
    type: str
    cause: str
    attempts: int
    waiting: int


@dataclass(frozen=True)
class ParkedMessage:
    version: int
    type: str
    schema: int
    recorded_at: datetime
    cause: str
    attempts: int
    parked_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True)
class Retried:
    """`stopped_by` is the message that still cannot be handled; None where all were."""

    handled: int
    stopped_by: ParkedMessage | None


Counts = dict[str, tuple[int, int]]
"""How many streams and messages wait, for each consumer that has any."""


async def counts(connection: Connection) -> Counts:
    """Those that wait for a person."""
    return await _counts(connection, unread=False)


async def waiting_counts(connection: Connection) -> Counts:
    """Those that wait for newer code: that of a stream's first message says which."""
    return await _counts(connection, unread=True)


async def _counts(connection: Connection, *, unread: bool) -> Counts:
    cursor = await connection.execute(
        "SELECT m.consumer, count(DISTINCT m.stream), count(*) FROM parked_messages m JOIN ("
        "  SELECT DISTINCT ON (consumer, stream) consumer, stream, cause FROM parked_messages"
        "  WHERE settled_at IS NULL ORDER BY consumer, stream, version) AS head"
        f" USING (consumer, stream) WHERE m.settled_at IS NULL AND {IS_UNREAD} = %s"
        " GROUP BY m.consumer",
        (unread,),
    )
    return {name: (streams, messages) for name, streams, messages in await cursor.fetchall()}


async def streams(
    connection: Connection,
    consumer: str,
    *,
    after: tuple[datetime, str] | None = None,
    limit: int = 100,
) -> Sequence[ParkedStream]:
    """Those that wait the longest come first, after the given one."""
    cursor = await connection.execute(
        "SELECT p.stream, p.parked_at, head.version, head.type, head.cause, head.attempts,"
        " (SELECT count(*) FROM parked_messages m WHERE m.consumer = p.consumer"
        "  AND m.stream = p.stream AND m.settled_at IS NULL)"
        " FROM parked_streams p CROSS JOIN LATERAL ("
        "  SELECT version, type, cause, attempts FROM parked_messages m"
        "  WHERE m.consumer = p.consumer AND m.stream = p.stream AND m.settled_at IS NULL"
        "  ORDER BY version LIMIT 1) AS head"
        " WHERE p.consumer = %(consumer)s AND (%(at)s::timestamptz IS NULL"
        "  OR (p.parked_at, p.stream) > (%(at)s::timestamptz, %(stream)s::text))"
        " ORDER BY p.parked_at, p.stream LIMIT %(limit)s",
        {
            "consumer": consumer,
            "at": after and after[0],
            "stream": after and after[1],
            "limit": limit,
        },
    )
    return [ParkedStream(*row) for row in await cursor.fetchall()]


async def messages(
    connection: Connection, consumer: str, stream: str, *, after: int = 0, limit: int = 100
) -> Sequence[ParkedMessage]:
    """What waits of a stream, in its order, behind the given version."""
    cursor = await connection.execute(
        "SELECT version, type, schema, recorded_at, cause, attempts, parked_at, data"
        " FROM parked_messages WHERE consumer = %s AND stream = %s AND settled_at IS NULL"
        " AND version > %s ORDER BY version LIMIT %s",
        (consumer, stream, after, limit),
    )
    return [ParkedMessage(*row) for row in await cursor.fetchall()]


async def retry(
    connection: Connection, consumer: Consumer, codec: Codec, stream: str, by: Attribution
) -> Retried:
    """Handle in order what waits of the stream, and what comes meanwhile, up to the first one that
    fails again.

    As long as something is left, new messages of the stream keep parking behind it.
    Raises NothingParked, and the error of a database that is at fault.
    """
    handled = 0
    while True:
        async with connection.transaction():
            await _alone(connection, consumer.name, stream)
            waiting = await _waiting(connection, consumer.name, codec, stream)
            for received in waiting:
                if error := await _handle_again(connection, consumer, received, by):
                    await _failed_again(connection, consumer.name, received, error)
                    [left] = await messages(
                        connection, consumer.name, stream, after=received.version - 1, limit=1
                    )
                    return Retried(handled, left)
                handled += 1
            if await free(connection, consumer.name, stream):
                return Retried(handled, None)


async def discard(
    connection: Connection,
    consumer: str,
    stream: str,
    by: Attribution,
    *,
    version: int | None = None,
) -> int:
    """Settle the first message that waits, or the named one, without handling it; answers which.

    It will not be handled when it comes again. Those behind it are worked off by a retry.
    Raises NothingParked.
    """
    async with connection.transaction():
        await _alone(connection, consumer, stream)
        cursor = await connection.execute(
            "SELECT version FROM parked_messages WHERE consumer = %s AND stream = %s"
            " AND settled_at IS NULL AND version = coalesce(%s, version) ORDER BY version LIMIT 1",
            (consumer, stream, version),
        )
        found = await cursor.fetchone()
        if found is None:
            raise NothingParked(f"{consumer}: {stream}/{version} does not wait")
        discarded: int = found[0]
        await connection.execute(
            "INSERT INTO inbox (consumer, id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (consumer, id_of(stream, discarded)),
        )
        await _settle(connection, (consumer, stream, discarded), "discarded", by)
        await free(connection, consumer, stream)
    return discarded


async def _alone(connection: Connection, consumer: str, stream: str) -> None:
    """Nobody else works this stream off, or handles or parks a message of it, until the end of the
    transaction.
    """
    cursor = await connection.execute(
        "SELECT FROM parked_streams WHERE consumer = %s AND stream = %s FOR UPDATE",
        (consumer, stream),
    )
    if await cursor.fetchone() is None:
        raise NothingParked(f"{consumer}: nothing of {stream} waits")


async def _waiting(
    connection: Connection, consumer: str, codec: Codec, stream: str
) -> Sequence[Received]:
    cursor = await connection.execute(
        "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
        " FROM parked_messages"
        " WHERE consumer = %s AND stream = %s AND settled_at IS NULL ORDER BY version LIMIT %s",
        (consumer, stream, CHUNK),
    )
    return [received_from_store(Recorded(*row), codec) for row in await cursor.fetchall()]


async def _handle_again(
    connection: Connection, consumer: Consumer, received: Received, by: Attribution
) -> Exception | None:
    """Answers why it could not be handled."""
    try:
        async with connection.transaction():
            noted = await connection.execute(
                "INSERT INTO inbox (consumer, id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (consumer.name, received.id),
            )
            if noted.rowcount:
                check_reads(received.codec, received.type, received.schema)
                await consumer.take(connection, received)
            key = (consumer.name, received.stream, received.version)
            await _settle(connection, key, "handled", by)
    except Exception as error:
        if is_of_the_database(error):
            raise
        return error
    return None


async def _failed_again(
    connection: Connection, consumer: str, received: Received, error: Exception
) -> None:
    await connection.execute(
        "UPDATE parked_messages SET cause = %s, attempts = attempts + 1"
        " WHERE consumer = %s AND stream = %s AND version = %s",
        (cause_of(error), consumer, received.stream, received.version),
    )


async def _settle(
    connection: Connection,
    key: tuple[str, str, int],
    settled_as: Literal["handled", "discarded"],
    by: Attribution,
) -> None:
    await connection.execute(
        "UPDATE parked_messages SET settled_at = clock_timestamp(), settled_as = %s, actor = %s,"
        " reason = %s WHERE consumer = %s AND stream = %s AND version = %s",
        (settled_as, by.actor, by.reason, *key),
    )
