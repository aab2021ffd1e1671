"""Events that could not be applied, and those that wait behind them: seen, never skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from eventstore.pool import Connection
from projections.folding import Parked


@dataclass(frozen=True)
class ParkedRow:
    """A row of a projection that stands still, and the event that stopped it."""

    projection: str
    id: str
    stream: str
    position: int
    cause: str
    parked_at: datetime
    events: int
    """How many wait, this one included."""


WAITING: Final = (
    "SELECT NULL, row_to_json(p) FROM ("
    "SELECT DISTINCT projection, substr(stream, strpos(stream, '-') + 1) AS id FROM parked_events"
    " WHERE projection = ANY (%s) AND substr(stream, strpos(stream, '-') + 1) = ANY (%s)) AS p"
)
"""Which of these ids have parked events for which of these projections."""


async def park(connection: Connection, parked: Sequence[tuple[str, Parked]]) -> None:
    await connection.execute(
        "INSERT INTO parked_events (projection, stream, position, cause)"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[])"
        " ON CONFLICT DO NOTHING",
        (
            [name for name, _ in parked],
            [one.stream for _, one in parked],
            [one.position for _, one in parked],
            [one.cause for _, one in parked],
        ),
    )


async def parked(connection: AsyncConnection, limit: int = 100) -> Sequence[ParkedRow]:
    """The rows that stand still, the longest first."""
    found = await connection.execute(
        text("""
        SELECT projection, id, stream, position, cause, parked_at, events FROM (
            SELECT DISTINCT ON (projection, id) projection, id, stream, position, cause, parked_at,
                count(*) OVER (PARTITION BY projection, id) AS events
            FROM (SELECT p.*, substr(stream, strpos(stream, '-') + 1) AS id
                FROM parked_events p JOIN read_models m ON m.name = p.projection) p
            ORDER BY projection, id, position
        ) AS p ORDER BY parked_at, projection, id LIMIT :limit
        """),
        {"limit": limit},
    )
    return [ParkedRow(*row) for row in found]


async def parked_counts(connection: AsyncConnection) -> Mapping[str, int]:
    """How many events are parked, for each projection that has any."""
    found = await connection.execute(
        text("SELECT projection, count(*) FROM parked_events GROUP BY projection")
    )
    return {name: count for name, count in found}  # noqa: C416  # rows are not pairs to mypy
