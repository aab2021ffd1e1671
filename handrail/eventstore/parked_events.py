"""Rows of `parked_events`: events that a subscriber could not handle, and those that wait behind.

`subscriber` is a read model, or the relay at an exchange. A stream's events wait in their order,
until a retry works them off.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded


@dataclass(frozen=True)
class Parked:
    """An event that waits; `cause` is why it was not handled."""

    stream: str
    position: int
    cause: str


async def park(connection: Connection, parked: Sequence[tuple[str, Parked]]) -> None:
    """Add events by subscriber, those of one stream in their order; one that waits stays as it is.

    One statement, however many they are.
    """
    await connection.execute(
        "INSERT INTO parked_events (projection, stream, position, cause)"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[])"
        " ON CONFLICT DO NOTHING",
        (
            [subscriber for subscriber, _ in parked],
            [event.stream for _, event in parked],
            [event.position for _, event in parked],
            [event.cause for _, event in parked],
        ),
    )


async def park_again(connection: Connection, subscriber: str, event: Parked) -> None:
    """Add the event; where it waits already, only its cause changes."""
    await connection.execute(
        "INSERT INTO parked_events (projection, stream, position, cause)"
        " VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (projection, stream, position) DO UPDATE SET cause = excluded.cause",
        (subscriber, event.stream, event.position, event.cause),
    )


async def lock_first(
    connection: Connection, subscribers: Collection[str], streams: Collection[str], limit: int
) -> Sequence[tuple[str, Recorded]]:
    """The first events that wait of these streams, by subscriber and in order, as stored.

    Their rows are locked until the transaction ends.
    """
    cursor = await connection.execute(
        "SELECT p.projection, e.position, e.stream, e.version, e.type, e.schema, e.data,"
        " e.metadata, e.recorded_at FROM parked_events p JOIN events e USING (position)"
        " WHERE p.projection = ANY (%s) AND p.stream = ANY (%s)"
        " ORDER BY e.position, p.projection LIMIT %s FOR UPDATE OF p",
        (list(subscribers), list(streams), limit),
    )
    return [(row[0], Recorded(*row[1:])) for row in await cursor.fetchall()]


async def release(
    connection: Connection, subscriber: str, streams: Collection[str], positions: Collection[int]
) -> None:
    """Remove events that were handled."""
    await connection.execute(
        "DELETE FROM parked_events WHERE projection = %s AND stream = ANY (%s)"
        " AND position = ANY (%s)",
        (subscriber, list(streams), list(positions)),
    )
