"""How far each follower of the feed is behind, measured against the events themselves.

One that stands still is behind as soon as there is an event that it has not seen. What it costs to
find out does not grow with how far behind anybody is, nor with how much is parked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.newer_code_waits import WAITING
from handrail.eventstore.store import SHARDS
from handrail.eventstore.tables import NOTHING_SEEN

COUNTED: Final = 10_000
"""How many events are counted one by one, and how many parked ones at most."""


@dataclass(frozen=True)
class Lag:
    """`events` is counted up to `COUNTED` that no shard of the same place has seen; what lies
    beyond those is an estimate: the positions up to the newest event, the same part for each shard.
    It is an estimate, too, while a follower reads from the beginning.

    `seconds` is the age of the oldest event that was not seen; where a shard has none among those
    that were counted, that of the last of these. `unowned` counts the shards that no process reads.
    `parked` is counted up to `COUNTED`, of the relay by exchange: that many, or more. `waiting`
    counts the shards that wait for newer code.
    """

    follower: str
    events: int
    seconds: float
    unowned: int
    parked: int
    waiting: int = 0


async def lag(connection: AsyncConnection) -> Sequence[Lag]:
    """One for each follower: read models, those that are being built, and others."""
    found = await connection.execute(
        _LAG, {"counted": COUNTED, "shards": SHARDS, "nothing": NOTHING_SEEN}
    )
    return [Lag(row[0], int(row[1]), float(row[2]), row[3], row[4], row[5]) for row in found]


# Checkpoints at the same place are asked about once. Of a batch that is being read page by page,
# what is left lies along the positions, and what came since behind it.
_LAG: Final[TextClause] = text(f"""
WITH RECURSIVE waits AS MATERIALIZED ({WAITING}), newest AS MATERIALIZED (
    SELECT coalesce(max(position), 0) AS position FROM events
), gaps AS MATERIALIZED (
    -- Between two epochs are positions that no event has.
    SELECT restored_position AS after, (first_position - restored_position - 1)::numeric AS gap
    FROM store_epochs
), places AS MATERIALIZED (
    SELECT since::text AS since, until::text AS until, after_position AS after
    FROM checkpoints WHERE since::text <> :nothing GROUP BY 1, 2, 3
), near AS MATERIALIZED (
    SELECT p.since, p.until, p.after, o.position, o.shard, o.unseen, o.in_front
    FROM places p CROSS JOIN LATERAL (
        (SELECT o.position, o.shard, true AS unseen, true AS in_front FROM outbox o
            WHERE p.until IS NULL AND o.txid >= pg_snapshot_xmax(p.since::pg_snapshot)
            ORDER BY o.txid, o.position LIMIT :counted)
        UNION ALL
        (SELECT o.position, o.shard, true, false FROM outbox o
            WHERE p.until IS NULL
            AND o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(p.since::pg_snapshot)))
            LIMIT :counted)
        UNION ALL
        (SELECT o.position, o.shard,
                NOT pg_visible_in_snapshot(o.txid, p.since::pg_snapshot), true
            FROM outbox o WHERE p.until IS NOT NULL AND o.position > p.after
            ORDER BY o.position LIMIT :counted)
        UNION ALL
        (SELECT o.position, o.shard, o.position <= p.after, false FROM outbox o
            WHERE p.until IS NOT NULL AND o.txid >= pg_snapshot_xmax(p.until::pg_snapshot)
            ORDER BY o.txid, o.position LIMIT :counted)
        UNION ALL
        (SELECT o.position, o.shard, o.position <= p.after, false FROM outbox o
            WHERE p.until IS NOT NULL
            AND o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(p.until::pg_snapshot)))
            LIMIT :counted)
    ) AS o
), ends AS (
    SELECT since, until, after,
        CASE WHEN count(*) FILTER (WHERE in_front) = :counted
            THEN max(position) FILTER (WHERE in_front) END AS position
    FROM near GROUP BY since, until, after
), counts AS (
    SELECT since, until, after, shard, count(*) AS events, min(position) AS oldest
    FROM near WHERE unseen GROUP BY since, until, after, shard
), unseen AS (
    SELECT c.projection, c.shard,
        coalesce(n.events, 0) + coalesce(greatest(newest.position - e.position - (
            SELECT coalesce(sum(g.gap), 0) FROM gaps g WHERE g.after >= e.position), 0)
            / :shards, 0) AS events,
        coalesce(n.oldest, e.position) AS oldest
    FROM checkpoints c CROSS JOIN newest
    LEFT JOIN ends e ON e.since = c.since::text AND e.after = c.after_position
        AND e.until IS NOT DISTINCT FROM c.until::text
    LEFT JOIN counts n ON n.since = c.since::text AND n.after = c.after_position
        AND n.until IS NOT DISTINCT FROM c.until::text AND n.shard = c.shard
    WHERE c.since::text <> :nothing
    UNION ALL
    -- From the beginning it reads the events along their positions, and each shard has its part.
    SELECT c.projection, c.shard,
        greatest(newest.position - c.after_position - (
            SELECT coalesce(sum(g.gap), 0) FROM gaps g WHERE g.after >= c.after_position), 0)
            / count(*) OVER (PARTITION BY c.projection),
        (SELECT min(n.position) FROM events n WHERE n.position > c.after_position)
    FROM checkpoints c CROSS JOIN newest
    WHERE c.since::text = :nothing
), names AS (
    SELECT min(projection) AS name FROM parked_events
    UNION ALL
    SELECT (SELECT min(p.projection) FROM parked_events p WHERE p.projection > names.name)
    FROM names WHERE names.name IS NOT NULL
), parked AS (
    SELECT names.name, (SELECT count(*) FROM (
        SELECT FROM parked_events p WHERE p.projection = names.name LIMIT :counted) AS p) AS events
    FROM names WHERE names.name IS NOT NULL
)
SELECT c.projection, sum(u.events),
    greatest(coalesce(extract(epoch FROM clock_timestamp() - min(e.recorded_at)), 0), 0),
    -- A lease that ends later than any can is from before the clock was put back.
    count(*) FILTER (WHERE c.owner IS NULL OR c.leased_until < clock_timestamp()
        OR c.leased_until > clock_timestamp() + 2 * coalesce(c.lease, interval '1 hour')),
    -- The relay parks by exchange, as in relay/money.
    (SELECT coalesce(sum(p.events), 0)::bigint FROM parked p
        WHERE p.name = c.projection OR starts_with(p.name, c.projection || '/')),
    (SELECT count(*) FROM waits w WHERE w.subscriber = c.projection)
FROM checkpoints c
JOIN unseen u USING (projection, shard)
LEFT JOIN events e ON e.position = u.oldest
GROUP BY c.projection ORDER BY c.projection
""")
