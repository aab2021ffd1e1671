"""Bring a consumer back to an earlier position: what it has handled since is handled once more.

The rewound types are read from history as added ones are (`backfill.py`). What a person
discarded stays discarded, and what the consumer has not handled yet is none of a rewind's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from handrail.eventstore.pool import Connection
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.messaging.consumers.backfill import NOWHERE
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.coverage import IS_COVERED

COUNTED: Final = 1_000_000
"""Events that are counted at most."""

# Deleted and written anew, since no role may change a row. They are found by their time, and there
# are none but where the clock was put back.
_NOTED_BEFORE: Final = """
WITH later AS (
    DELETE FROM inbox WHERE consumer = %(consumer)s AND received_at >= %(now)s RETURNING id
)
INSERT INTO inbox (consumer, id, received_at)
SELECT %(consumer)s, id, %(now)s - interval '1 microsecond' FROM later
"""


class CannotRewind(Exception):
    """Why not, and what to do first."""


@dataclass(frozen=True)
class Affected:
    """What a consumer has handled, or parked, behind a position, by type, and since when.

    `more`: there are more than were counted.
    """

    types: Mapping[str, int]
    since: datetime | None
    more: bool

    @property
    def events(self) -> int:
        return sum(self.types.values())


async def position_before(connection: Connection, moment: datetime) -> int:
    """The position of the last event that was recorded before, 0 where there is none."""
    cursor = await connection.execute(
        "SELECT position FROM events WHERE recorded_at < %s ORDER BY position DESC LIMIT 1",
        (moment,),
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def affected(
    connection: Connection, consumer: Consumer, position: int, types: Sequence[str]
) -> Affected:
    """What a rewind of these types to this position has handled again."""
    cursor = await connection.execute(
        "SELECT type, count(*), min(recorded_at) FROM ("
        " SELECT e.type, e.recorded_at FROM events e"
        " WHERE e.position > %(position)s AND e.type = ANY (%(types)s)"
        " AND NOT EXISTS (SELECT FROM parked_messages p WHERE p.consumer = %(consumer)s"
        "  AND p.stream = e.stream AND p.version = e.version AND p.settled_as = 'discarded')"
        f" AND {IS_COVERED} ORDER BY e.position LIMIT %(limit)s) AS e GROUP BY type ORDER BY type",
        {
            "position": position,
            "types": list(types),
            "consumer": consumer.name,
            "follower": consumer.follower,
            "limit": COUNTED + 1,
        },
    )
    rows = await cursor.fetchall()
    counts = {type_: count for type_, count, _ in rows}
    since = min((first for *_, first in rows), default=None)
    return Affected(counts, since, sum(counts.values()) > COUNTED)


async def rewind(
    connection: Connection,
    consumer: Consumer,
    position: int,
    types: Sequence[str],
    *,
    actor: str,
    reason: str,
) -> None:
    """Have the events of these types behind the position handled again, by whatever process runs.

    What the inbox has by then was noted before, also where the database's clock says otherwise
    since it was put back: those rows get a time before the rewind's. Raises CannotRewind.
    """
    async with connection.transaction():
        cursor = await connection.execute(
            "SELECT since::text = %s, until IS NOT NULL FROM checkpoints WHERE projection = %s"
            " ORDER BY shard FOR UPDATE",
            (NOTHING_SEEN, consumer.follower),
        )
        found = await cursor.fetchall()
        if not found or all(at_the_beginning for at_the_beginning, _ in found):
            raise CannotRewind(f"{consumer.name} has not begun: it reads everything anyway")
        if any(within_a_batch for _, within_a_batch in found):
            raise CannotRewind(f"{consumer.name} is behind: let it catch up first")
        [(now,)] = await (await connection.execute("SELECT clock_timestamp()")).fetchall()
        inserted = await connection.execute(
            "INSERT INTO consumer_backfills (consumer, type, shard, since, until, after_position,"
            " from_position, again, begun_at, actor, reason)"
            " SELECT w.consumer, w.type, c.shard, %(nothing)s::text::pg_snapshot, c.since,"
            " %(position)s, %(nowhere)s, true, %(now)s, %(actor)s, %(reason)s"
            " FROM consumer_wants w JOIN checkpoints c ON c.projection = %(follower)s"
            " WHERE w.consumer = %(consumer)s AND w.type = ANY (%(types)s) ON CONFLICT DO NOTHING",
            {
                "nothing": NOTHING_SEEN,
                "position": position,
                "nowhere": NOWHERE,
                "now": now,
                "actor": actor,
                "reason": reason,
                "follower": consumer.follower,
                "consumer": consumer.name,
                "types": list(types),
            },
        )
        if inserted.rowcount != len(found) * len(set(types)):
            raise CannotRewind(
                f"{consumer.name} reads some of these types from history already:"
                f" `handrail consumers backfill {consumer.name} --yes` ends that"
            )
        await connection.execute(_NOTED_BEFORE, {"consumer": consumer.name, "now": now})
