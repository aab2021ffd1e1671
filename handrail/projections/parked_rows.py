"""Events that could not be applied, and those that wait behind them: seen, never skipped."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.projections.projection import Projection, id_of


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


@dataclass(frozen=True)
class Standstill:
    """Which of some rows are parked, by id, with the position of their first parked event, and
    whether any row of the projection is.
    """

    rows: Mapping[str, int]
    anywhere: bool


async def standstill(
    connection: AsyncConnection, projection: Projection[Any], ids: Collection[str]
) -> Standstill:
    """One statement; where nothing of the projection is parked, one lookup in an index."""
    streams = [f"{category}-{id_}" for category in projection.categories for id_ in ids]
    found = await connection.execute(_STANDSTILL, {"name": projection.name, "streams": streams})
    rows: dict[str, int] = {}
    anywhere = False
    for stream, position in found:
        anywhere = True
        if stream is not None:
            rows[id_of(stream)] = min(position, rows.get(id_of(stream), position))
    return Standstill(rows, anywhere)


async def any_parked(connection: AsyncConnection, name: str) -> bool:
    """Whether the read model of this name has a parked row: one lookup in an index."""
    found = await connection.execute(_ANY, {"name": name})
    return bool(found.scalar_one())


_ANY: Final = text("SELECT EXISTS (SELECT FROM parked_events WHERE projection = :name)")
_STANDSTILL: Final = text("""
WITH first AS MATERIALIZED (SELECT FROM parked_events WHERE projection = :name LIMIT 1)
SELECT CAST(NULL AS text), CAST(NULL AS bigint) FROM first
UNION ALL
SELECT p.stream, p.position
FROM unnest(CAST(:streams AS text[])) AS s (stream)
CROSS JOIN LATERAL (
    SELECT stream, position FROM parked_events
    WHERE projection = :name AND stream = s.stream ORDER BY position LIMIT 1
) p
WHERE EXISTS (SELECT FROM first)
""")


async def parked(
    connection: AsyncConnection,
    limit: int = 100,
    *,
    projection: str | None = None,
    row: str | None = None,
) -> Sequence[ParkedRow]:
    """The rows that stand still, the longest first: all of them, or those of a projection, or the
    one with this id.
    """
    of_these = " AND p.projection = :projection" if projection is not None else ""
    of_these += " AND substr(p.stream, strpos(p.stream, '-') + 1) = :row" if row is not None else ""
    found = await connection.execute(
        text(f"""
        SELECT projection, id, stream, position, cause, parked_at, events FROM (
            SELECT DISTINCT ON (projection, id) projection, id, stream, position, cause, parked_at,
                count(*) OVER (PARTITION BY projection, id) AS events
            FROM (SELECT p.*, substr(stream, strpos(stream, '-') + 1) AS id
                FROM parked_events p JOIN read_models m ON m.name = p.projection{of_these}) p
            ORDER BY projection, id, position
        ) AS p ORDER BY parked_at, projection, id LIMIT :limit
        """),
        {"limit": limit, "projection": projection, "row": row},
    )
    return [ParkedRow(*row) for row in found]


async def parked_counts(connection: AsyncConnection) -> Mapping[str, int]:
    """How many events are parked, for each projection that has any."""
    found = await connection.execute(
        text("SELECT projection, count(*) FROM parked_events GROUP BY projection")
    )
    return {name: count for name, count in found}  # noqa: C416  # rows are not pairs to mypy
