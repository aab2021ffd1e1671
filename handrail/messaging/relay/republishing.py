"""What comes again once the relay is forgotten: the next one publishes from the first event on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from handrail.eventstore.pool import Connection
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.coverage import IS_COVERED


@dataclass(frozen=True)
class ComesAgain:
    """`wanted` events of the store are for this consumer. Its checkpoint or its inbox knows `known`
    of them: these have no effect when they come again.
    """

    consumer: str
    wanted: int
    known: int

    @property
    def handled(self) -> int:
        """Those that have their effect then: it has not handled them yet, or does not know it."""
        return self.wanted - self.known


@dataclass(frozen=True)
class Republished:
    """All events of the store, since when, and how many of them wait at the relay."""

    events: int
    since: datetime | None
    waiting: int
    consumers: Sequence[ComesAgain]


async def republished(connection: Connection, consumers: Sequence[Consumer]) -> Republished:
    """Reads the whole store once, and once more for each consumer, in one snapshot."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor = await connection.execute(
            "SELECT count(*), (SELECT recorded_at FROM events ORDER BY position LIMIT 1),"
            " (SELECT count(DISTINCT position) FROM parked_events"
            "  WHERE starts_with(projection, 'relay/')) FROM events"
        )
        [(events, since, waiting)] = await cursor.fetchall()
        again = [await _comes_again(connection, consumer) for consumer in consumers]
    return Republished(events, since, waiting, again)


async def _comes_again(connection: Connection, consumer: Consumer) -> ComesAgain:
    cursor = await connection.execute(
        f"SELECT count(*), count(*) FILTER (WHERE {IS_COVERED} OR EXISTS (SELECT FROM inbox i"
        "  WHERE i.consumer = %(consumer)s AND i.id = e.stream || '/' || e.version))"
        " FROM events e WHERE e.type = ANY (%(types)s)",
        {
            "consumer": consumer.name,
            "follower": consumer.follower,
            "types": sorted(consumer.types),
        },
    )
    [(wanted, known)] = await cursor.fetchall()
    return ComesAgain(consumer.name, wanted, known)
