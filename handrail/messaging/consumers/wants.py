"""The types a consumer wants are part of its checkpoint.

A type that was added is read from history before the consumer goes on. A process that does not want
a registered type, as an old one in a rolling deployment, may move the checkpoint over its events;
the type is left behind there, in the same statement, and read by a process that wants it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from handrail.eventstore.feed import Page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import shard_of
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.messaging.consumers.consumer import Consumer

_log = structlog.get_logger(__name__)

_MISSING: Final = (
    "SELECT t FROM unnest(%(types)s::text[]) AS t WHERE NOT EXISTS ("
    " SELECT FROM consumer_wants w WHERE w.consumer = %(consumer)s AND w.type = t)"
)
# Of a consumer that has begun without a list of what it wants, as one of code before there was one,
# its checkpoint stands for all that it wants now.
_REGISTER: Final = """
WITH known AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM consumer_wants WHERE consumer = %(consumer)s) AS already
), added AS (
    INSERT INTO consumer_wants (consumer, type) SELECT %(consumer)s, t
    FROM unnest(%(types)s::text[]) AS t ON CONFLICT DO NOTHING RETURNING type
)
INSERT INTO consumer_backfills (consumer, type, shard, since)
SELECT %(consumer)s, a.type, c.shard, %(nothing)s::text::pg_snapshot
FROM known k CROSS JOIN added a CROSS JOIN checkpoints c
WHERE k.already AND c.projection = %(follower)s
    AND NOT (c.since::text = %(nothing)s::text AND c.until IS NULL)
ON CONFLICT DO NOTHING RETURNING type
"""
_LEFT_BEHIND: Final = """
WITH left_behind AS (
    INSERT INTO consumer_backfills AS b (
        consumer, type, shard, since, until, after_position, from_position)
    SELECT w.consumer, w.type, c.shard, c.since, c.until, c.after_position, u.position
    FROM unnest(%(projections)s::text[], %(shards)s::smallint[], %(revisions)s::bigint[])
        AS known (projection, shard, revision)
    JOIN checkpoints c ON c.projection = known.projection AND c.shard = known.shard
        AND c.revision = known.revision
    JOIN unnest(%(unwanted_shards)s::smallint[], %(unwanted)s::text[], %(unwanted_from)s::bigint[])
        AS u (shard, type, position) ON u.shard = c.shard
    JOIN consumer_wants w ON w.consumer = %(consumer)s AND w.type = u.type
    ON CONFLICT (consumer, type, shard) DO UPDATE
    SET from_position = least(b.from_position, excluded.from_position)
)
"""


async def register(connection: Connection, consumer: Consumer) -> Sequence[str]:
    """Note what the consumer wants; answers the types that are to be read from history."""
    values = {"consumer": consumer.name, "types": sorted(consumer.types)}
    if not await (await connection.execute(_MISSING, values)).fetchall():
        return []
    async with connection.transaction():
        # Who is about to move a checkpoint, and knows nothing of the new types, has to look again.
        await connection.execute(
            "UPDATE checkpoints AS c SET revision = c.revision + 1 FROM ("
            " SELECT shard FROM checkpoints WHERE projection = %(name)s ORDER BY shard FOR UPDATE"
            ") AS locked WHERE c.projection = %(name)s AND c.shard = locked.shard",
            {"name": consumer.follower},
        )
        cursor = await connection.execute(
            _REGISTER, {**values, "follower": consumer.follower, "nothing": NOTHING_SEEN}
        )
        added = sorted({type_ for (type_,) in await cursor.fetchall()})
    if added:
        _log.warning("types were added: read from history", consumer=consumer.name, types=added)
    return added


def left_behind(consumer: Consumer, page: Page) -> tuple[str, Mapping[str, object]]:
    """What to do beside moving the consumer's checkpoint over a page: see `checkpoints.move`."""
    first: dict[tuple[int, str], int] = {}
    for event in page.events:
        if event.type not in consumer.types:
            first.setdefault((shard_of(event.stream), event.type), event.position)
    if not first:
        return "", {}
    return _LEFT_BEHIND, {
        "consumer": consumer.name,
        "unwanted_shards": [shard for shard, _ in first],
        "unwanted": [type_ for _, type_ in first],
        "unwanted_from": list(first.values()),
    }
