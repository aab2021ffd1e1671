"""Rows of `newer_code_waits`: shards that a process left to newer code, at which event, since when.

A subscriber that meets an event which its code cannot read stops before it, and gives the shard up
(`handrail/eventstore/subscriptions/subscriber.py`). Its row keeps it from taking the shard back:
`handrail/eventstore/subscriptions/shard_assignment.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.newer_code_decisions import IS_PARKED
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded

LAKE: Final = "lake"
"""The subscriber whose shards are handled together: its rows go once its batch is settled."""


@dataclass(frozen=True)
class Waits:
    """A shard of a subscriber that waits before an event for a process whose code reads it."""

    subscriber: str
    shard: int
    type: str
    schema: int
    stream: str
    position: int
    since: datetime

    def __str__(self) -> str:
        return (
            f"waits for newer code: {self.type} v{self.schema} at position {self.position} of"
            f" stream {self.stream} since {self.since:%F %T}"
        )


_KEPT: Final = (
    " ON CONFLICT (subscriber, shard, owner) DO UPDATE SET type = excluded.type,"
    " schema = excluded.schema, stream = excluded.stream, position = excluded.position,"
    " since = CASE WHEN newer_code_waits.position = excluded.position"
    "  THEN newer_code_waits.since ELSE excluded.since END"
)
_NOTE: Final = (
    "INSERT INTO newer_code_waits"
    " (subscriber, shard, owner, type, schema, stream, position)"
    " SELECT l.projection, l.shard, %(owner)s, %(type)s, %(schema)s, %(stream)s, %(position)s"
    f" FROM l{_KEPT}"
)


async def leave(
    connection: Connection, owner: str, checkpoints: Sequence[Checkpoint], event: Recorded
) -> int:
    """Give these up before the event that the process cannot read; answers how many were its own.

    One statement: no other process finds one of them free without the row that says why.
    """
    noted = await connection.execute(
        "WITH l AS (UPDATE checkpoints AS c SET owner = NULL, leased_until = NULL"
        " FROM unnest(%(projections)s::text[], %(shards)s::smallint[], %(revisions)s::bigint[])"
        " AS known (projection, shard, revision) WHERE c.projection = known.projection"
        " AND c.shard = known.shard AND c.revision = known.revision AND c.owner = %(owner)s"
        f" RETURNING c.projection, c.shard) {_NOTE}",
        {
            **_values(owner, event),
            "projections": [one.projection for one in checkpoints],
            "shards": [one.shard for one in checkpoints],
            "revisions": [one.revision for one in checkpoints],
        },
    )
    return noted.rowcount


async def note(connection: Connection, owner: str, subscriber: str, event: Recorded) -> None:
    """Of a subscriber whose shards are handled together: all of them wait before the event."""
    await connection.execute(
        f"WITH l AS (SELECT %(subscriber)s::text AS projection, 0 AS shard) {_NOTE}",
        {**_values(owner, event), "subscriber": subscriber},
    )


async def forget(connection: Connection, subscriber: str) -> None:
    """Nothing of the subscriber waits any more."""
    await connection.execute("DELETE FROM newer_code_waits WHERE subscriber = %s", (subscriber,))


async def tidy(connection: Connection, subscribers: Collection[str]) -> None:
    """Remove the rows of processes that are gone where their shard has moved on since."""
    await connection.execute(
        "DELETE FROM newer_code_waits AS w USING checkpoints c"
        " WHERE w.subscriber = ANY (%s) AND c.projection = w.subscriber AND c.shard = w.shard"
        f" AND NOT ({_STANDS}) AND NOT EXISTS (SELECT FROM followers f"
        "  WHERE f.owner = w.owner AND f.alive_until > clock_timestamp())",
        (list(subscribers),),
    )


_STANDS: Final = "c.until IS NOT NULL AND c.after_position = w.position - 1"
"""SQL: whether the checkpoint `c` stands before the event of `w`."""

WAITING: Final = (
    "SELECT DISTINCT ON (w.subscriber, w.shard) w.subscriber, w.shard, w.type, w.schema,"
    " w.stream, w.position, w.since FROM newer_code_waits w"
    " LEFT JOIN checkpoints c ON c.projection = w.subscriber AND c.shard = w.shard"
    f" WHERE (w.subscriber = '{LAKE}' OR {_STANDS}) AND NOT {IS_PARKED}"
    " ORDER BY w.subscriber, w.shard, w.since"
)
"""SQL: the shards that wait now."""


async def waiting(connection: Connection, subscribers: Collection[str]) -> Sequence[Waits]:
    """What waits at these subscribers now, the longest first."""
    cursor = await connection.execute(
        f"SELECT * FROM ({WAITING}) AS n WHERE n.subscriber = ANY (%s)"
        " ORDER BY n.since, n.subscriber, n.shard",
        (list(subscribers),),
    )
    return [Waits(*row) for row in await cursor.fetchall()]


def _values(owner: str, event: Recorded) -> dict[str, object]:
    return {
        "owner": owner,
        "type": event.type,
        "schema": event.schema,
        "stream": event.stream,
        "position": event.position,
    }
