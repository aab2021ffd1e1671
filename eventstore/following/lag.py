"""How far each follower of the feed is behind, measured against the events themselves.

One that stands still is behind as soon as there is an event that it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True)
class Lag:
    """`events` is an estimate while a follower reads from the beginning.

    `seconds` is the age of the oldest event that was not seen; `unowned` counts the shards that
    nobody reads.
    """

    follower: str
    events: int
    seconds: float
    unowned: int
    parked: int


async def lag(connection: AsyncConnection) -> Sequence[Lag]:
    """One for each follower: read models, those that are being built, and others."""
    found = await connection.execute(_LAG)
    return [Lag(row[0], int(row[1]), float(row[2]), row[3], row[4]) for row in found]


_LAG: Final[TextClause] = text("""
WITH unseen AS (
    SELECT c.projection, c.shard, u.events, u.oldest
    FROM checkpoints c
    CROSS JOIN LATERAL (
        SELECT count(*) AS events, min(o.position) AS oldest FROM (
            SELECT o.* FROM outbox o WHERE o.txid >= pg_snapshot_xmax(c.since)
            UNION ALL
            SELECT o.* FROM outbox o WHERE o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(c.since)))
        ) AS o
        WHERE o.shard = c.shard AND NOT (
            c.until IS NOT NULL AND pg_visible_in_snapshot(o.txid, c.until)
            AND o.position <= c.after_position)
    ) AS u
    WHERE c.since::text <> '1:1:'
    UNION ALL
    -- From the beginning it reads the events along their positions, and each shard has its part.
    SELECT c.projection, c.shard,
        greatest(e.newest - c.after_position, 0) / count(*) OVER (PARTITION BY c.projection),
        (SELECT min(n.position) FROM events n WHERE n.position > c.after_position)
    FROM checkpoints c CROSS JOIN (SELECT coalesce(max(position), 0) AS newest FROM events) AS e
    WHERE c.since::text = '1:1:'
)
SELECT c.projection, sum(u.events),
    coalesce(extract(epoch FROM clock_timestamp() - min(e.recorded_at)), 0),
    count(*) FILTER (WHERE c.owner IS NULL OR c.leased_until < clock_timestamp()),
    -- The relay parks by exchange, as in relay/money.
    (SELECT count(*) FROM parked_events p
        WHERE p.projection = c.projection OR starts_with(p.projection, c.projection || '/'))
FROM checkpoints c
JOIN unseen u USING (projection, shard)
LEFT JOIN events e ON e.position = u.oldest
GROUP BY c.projection ORDER BY c.projection
""")
