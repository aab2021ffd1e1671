"""Old rows of an inbox go once nothing can bring their messages again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from eventstore.pool import Connection
from messaging.consumer import Consumer
from messaging.feeding import has_caught_up

KEPT: Final = timedelta(days=90)
"""Longer than a message may wait in any queue, or at a link between virtual hosts."""
_AT_ONCE: Final = 10_000


async def prune(connection: Connection, consumer: Consumer, seen: str) -> int:
    """Answers how many rows went; none, as long as the consumer's checkpoint has not passed what
    the snapshot `seen`, of a while ago, has seen: the store would bring some of them again.
    """
    if not await has_caught_up(connection, consumer, seen):
        return 0
    cursor = await connection.execute(
        "DELETE FROM inbox WHERE ctid = ANY (ARRAY("
        " SELECT i.ctid FROM inbox i WHERE i.consumer = %s"
        " AND i.received_at < clock_timestamp() - %s LIMIT %s))",
        (consumer.name, KEPT, _AT_ONCE),
    )
    return cursor.rowcount
