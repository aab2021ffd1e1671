"""Which events a consumer's own checkpoint covers: they were handled, discarded, or are parked.

The checkpoint stands for every type the consumer wants, except for those of a shard that
`consumer_backfills` has: they stand where that row says. Of a type that was never registered
nothing is covered. The checkpoint is read as it is in the table; a follower may be further in
memory, so what is called covered here is.
"""

from __future__ import annotations

from typing import Final


def covers(cursor: str, event: str) -> str:
    """SQL: whether the cursor of one row (`since`, `until`, `after_position`) covers an event."""
    number = f"event_number({event}.position, {event}.txid)"
    return (
        f"(pg_visible_in_snapshot({number}, {cursor}.since)"
        f" OR coalesce(pg_visible_in_snapshot({number}, {cursor}.until)"
        f" AND {event}.position <= {cursor}.after_position, false))"
    )


SAME_PLACE: Final = (
    "b.since::text = c.since::text AND b.until::text IS NOT DISTINCT FROM c.until::text"
    " AND b.after_position = c.after_position"
)
"""SQL: whether a backfill `b` is where the checkpoint `c` is."""

IS_COVERED: Final = (
    "EXISTS (SELECT FROM consumer_wants w"
    " JOIN checkpoints c ON c.projection = %(follower)s AND c.shard = e.shard"
    " LEFT JOIN consumer_backfills b"
    " ON b.consumer = w.consumer AND b.type = w.type AND b.shard = e.shard"
    " WHERE w.consumer = %(consumer)s AND w.type = e.type"
    f" AND CASE WHEN b.shard IS NULL THEN {covers('c', 'e')} ELSE {covers('b', 'e')} END)"
)
"""SQL: whether the event `e` is covered, for the parameters `consumer` and `follower`."""
