"""Rows of `retry_requests`: an operator's request over HTTP to retry what is parked.

The API may neither write read models nor publish. It stores the request; a projector or a relay
works it off within seconds, and stores what came of it. There is one row for each place: a request
that is repeated takes the place of the one before it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.pool import Connection
from handrail.kernel import Attribution

LOOKS: Final = 1.0
"""Seconds between two looks of a process for requests."""
KEPT: Final = timedelta(days=2)
"""How long a request stays after it was worked off, to show what came of it."""
_SHOWN: Final = 100
_LONGEST: Final = 1_000


@dataclass(frozen=True)
class RetryRequest:
    """`stream` is empty for all that is parked at the subscriber. Until it is settled, `handled`
    and `stopped_by` are None; then `stopped_by` is why something still waits, or empty.
    """

    subscriber: str
    stream: str
    actor: str
    reason: str
    requested_at: datetime
    settled_at: datetime | None
    handled: int | None
    stopped_by: str | None


_COLUMNS: Final = "subscriber, stream, actor, reason, requested_at, settled_at, handled, stopped_by"
_REQUEST: Final[TextClause] = text(f"""
INSERT INTO retry_requests (subscriber, stream, actor, reason)
SELECT :subscriber, :stream, :actor, :reason WHERE EXISTS (
    SELECT FROM parked_events WHERE projection = ANY (:parked_at)
        AND (:stream = '' OR stream = :stream))
ON CONFLICT (subscriber, stream) DO UPDATE SET actor = excluded.actor, reason = excluded.reason,
    requested_at = clock_timestamp(), settled_at = NULL, handled = NULL, stopped_by = NULL
RETURNING {_COLUMNS}
""")
_RECENT: Final[TextClause] = text(f"""
SELECT {_COLUMNS} FROM retry_requests
WHERE subscriber = ANY (:subscribers) AND (CAST(:stream AS text) IS NULL OR stream = :stream)
ORDER BY requested_at DESC, stream LIMIT :limit
""")


async def request(
    connection: AsyncConnection,
    subscriber: str,
    stream: str,
    by: Attribution,
    parked_at: Collection[str],
) -> RetryRequest | None:
    """Store a request; None where nothing is parked there. `parked_at` are the names under which
    events of the subscriber are parked; an empty `stream` means all of them.
    """
    found = await connection.execute(
        _REQUEST,
        {
            "subscriber": subscriber,
            "stream": stream,
            "actor": by.actor,
            "reason": by.reason,
            "parked_at": sorted(parked_at),
        },
    )
    row = found.one_or_none()
    return None if row is None else RetryRequest(*row)


async def recent(
    connection: AsyncConnection, subscribers: Collection[str], stream: str | None = None
) -> Sequence[RetryRequest]:
    """The newest 100 requests of these subscribers, or of one stream there."""
    values = {"subscribers": sorted(subscribers), "stream": stream, "limit": _SHOWN}
    return [RetryRequest(*row) for row in await connection.execute(_RECENT, values)]


async def unsettled(connection: Connection, subscribers: Collection[str]) -> Sequence[RetryRequest]:
    """The requests that no process has worked off yet, the oldest first."""
    cursor = await connection.execute(
        f"SELECT {_COLUMNS} FROM retry_requests WHERE settled_at IS NULL AND subscriber = ANY (%s)"
        " ORDER BY requested_at, subscriber, stream LIMIT %s",
        (sorted(subscribers), _SHOWN),
    )
    return [RetryRequest(*row) for row in await cursor.fetchall()]


async def settle(
    connection: Connection, one: RetryRequest, *, handled: int, stopped_by: str
) -> None:
    """Store what came of it, unless it was requested again, or another process was faster."""
    await connection.execute(
        "UPDATE retry_requests SET settled_at = clock_timestamp(), handled = %s, stopped_by = %s"
        " WHERE subscriber = %s AND stream = %s AND requested_at = %s AND settled_at IS NULL",
        (handled, stopped_by[:_LONGEST], one.subscriber, one.stream, one.requested_at),
    )


async def prune(connection: Connection) -> None:
    """Remove what was settled long ago."""
    await connection.execute("DELETE FROM retry_requests WHERE settled_at < now() - %s", (KEPT,))
