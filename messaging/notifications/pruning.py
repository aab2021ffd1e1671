"""What is over and done with is kept for so long, for who asks what a customer was told."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from eventstore.pool import Connection

KEPT: Final = timedelta(days=90)
_BATCH: Final = 10_000


async def prune(connection: Connection, kept: timedelta = KEPT) -> int:
    """Delete messages that nobody waits for, a batch of them. How many they were.

    An event that comes again after that is too old to be told of.
    """
    await connection.execute(
        "DELETE FROM campaign_audience AS a USING campaigns AS k"
        " WHERE k.name = a.campaign AND k.finished_at < clock_timestamp() - %s",
        (kept,),
    )
    cursor = await connection.execute(
        "DELETE FROM notifications AS n USING ("
        " SELECT lane, source, channel FROM notifications"
        " WHERE created_at < clock_timestamp() - %s AND settled_at < clock_timestamp() - %s"
        " AND state NOT IN ('waiting', 'failed', 'parked') LIMIT %s) AS old"
        " WHERE n.lane = old.lane AND n.source = old.source AND n.channel = old.channel",
        (kept, kept, _BATCH),
    )
    return cursor.rowcount
