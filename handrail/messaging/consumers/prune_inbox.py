"""Retention of what consumers keep: inbox rows, and parked messages that were handled.

An inbox row goes once the consumer's own checkpoint covers its event: from then on the checkpoint
tells a duplicate. That is asked of each row, so one shard that stands still keeps only its own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from handrail.eventstore.pool import Connection
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.coverage import IS_COVERED, covers

KEPT: Final = timedelta(days=90)
"""How long an inbox row stays at least: `handrail verify` compares the ledger with it."""
SETTLED_KEPT: Final = timedelta(days=365)
"""How long a parked message that was handled in the end stays, to tell by whom, when and why."""
_AT_ONCE: Final = 10_000

# While types are read from history they may be further than the checkpoint, so both are asked. And
# what a snapshot of a while ago did not see is left: a message may be on its way into the inbox by
# a statement that does not see the checkpoint of now.
_PRUNE: Final = f"""
DELETE FROM inbox WHERE ctid = ANY (ARRAY(
    SELECT i.ctid FROM inbox i
    JOIN events e ON e.stream = regexp_replace(i.id, '/[0-9]+$', '')
        AND e.version = substring(i.id FROM '[0-9]+$')::bigint
    JOIN checkpoints k ON k.projection = %(follower)s AND k.shard = e.shard
    WHERE i.consumer = %(consumer)s AND i.received_at < statement_timestamp() - %(kept)s
        AND pg_visible_in_snapshot(event_number(e.position, e.txid), %(seen)s::pg_snapshot)
        AND {covers("k", "e")} AND {IS_COVERED}
    LIMIT {_AT_ONCE}))
"""


async def prune(connection: Connection, consumer: Consumer, seen: str) -> int:
    """Delete old inbox rows, at most ten thousand; answers how many went.

    `seen` is a snapshot of a while ago: events that it does not see keep their rows for now.
    """
    cursor = await connection.execute(
        _PRUNE,
        {
            "consumer": consumer.name,
            "follower": consumer.follower,
            "seen": seen,
            "kept": KEPT,
        },
    )
    return cursor.rowcount


async def prune_settled(connection: Connection, consumer: Consumer) -> int:
    """Delete parked messages that were handled long ago, at most ten thousand; answers how many.

    One stays as long as the inbox has it. One that was discarded stays for good: it alone tells
    that a person decided so.
    """
    cursor = await connection.execute(
        "DELETE FROM parked_messages WHERE ctid = ANY (ARRAY("
        " SELECT p.ctid FROM parked_messages p WHERE p.consumer = %s"
        " AND p.settled_as = 'handled' AND p.settled_at < statement_timestamp() - %s"
        " AND NOT EXISTS (SELECT FROM inbox i"
        "  WHERE i.consumer = p.consumer AND i.id = p.stream || '/' || p.version)"
        " LIMIT %s))",
        (consumer.name, SETTLED_KEPT, _AT_ONCE),
    )
    return cursor.rowcount
