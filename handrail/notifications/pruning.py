"""Retention of messages: what is over is kept, as the record of what a recipient was sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from handrail.eventstore.pool import Connection

KEPT: Final = timedelta(days=90)
FAILED_KEPT: Final = 2 * KEPT
"""How long a message that failed waits for a person; it holds the address that was tried."""
CAMPAIGNS_KEPT: Final = 2 * KEPT
"""How long the name of a campaign that has ended is taken, and its texts are there."""
_BATCH: Final = 10_000
_CAMPAIGNS: Final = 100

# Ages are reckoned from statement_timestamp(): clock_timestamp() may change from row to row, so no
# index finds what is older than that.


async def prune(connection: Connection, kept: timedelta = KEPT) -> int:
    """Delete messages that nobody waits for, a batch of them. How many they were.

    An event that comes again after that is too old to be told of. Messages that failed are kept for
    twice as long, and campaigns, too, whose texts no message needs any more.
    """
    await connection.execute(
        "DELETE FROM campaign_audience AS a USING campaigns AS k"
        " WHERE k.name = a.campaign AND k.finished_at < statement_timestamp() - %s",
        (kept,),
    )
    await connection.execute(
        "DELETE FROM campaigns WHERE name IN ("
        " SELECT k.name FROM campaigns AS k WHERE k.finished_at < statement_timestamp() - %s"
        # A message that is so long overdue may be of any campaign.
        " AND NOT EXISTS (SELECT FROM notifications WHERE lane = 'campaign' AND state = 'waiting'"
        "  AND due_at < statement_timestamp() - %s)"
        " AND NOT EXISTS (SELECT FROM notifications AS n"
        "  WHERE n.lane = 'campaign' AND n.state IN ('failed', 'parked') AND n.campaign = k.name)"
        " LIMIT %s)",
        (2 * kept, kept, _CAMPAIGNS),
    )
    failed = await connection.execute(
        "DELETE FROM notifications AS n USING ("
        " SELECT lane, source, channel FROM notifications"
        " WHERE state = 'failed' AND settled_at < statement_timestamp() - %s"
        " ORDER BY settled_at LIMIT %s) AS old"
        " WHERE n.lane = old.lane AND n.source = old.source AND n.channel = old.channel",
        (2 * kept, _BATCH),
    )
    cursor = await connection.execute(
        "DELETE FROM notifications AS n USING ("
        " SELECT lane, source, channel FROM notifications"
        " WHERE created_at < statement_timestamp() - %s AND settled_at < statement_timestamp() - %s"
        " AND state NOT IN ('waiting', 'failed', 'parked') LIMIT %s) AS old"
        " WHERE n.lane = old.lane AND n.source = old.source AND n.channel = old.channel",
        (kept, kept, _BATCH),
    )
    return failed.rowcount + cursor.rowcount
