"""The feed: every event once, in the order of its stream, without waiting for slow writers.

A batch is what one snapshot sees and an earlier one did not, ordered by position: the method of PgQ
(Skype, 2009), with the reader's own snapshots in place of a ticker's. A snapshot that sees a later
commit of a stream sees the earlier ones too, so no stream is ever turned around; and what a
snapshot does not see yet, a later one will, so nothing is lost.
`docs/decisions/0003-feed-by-snapshots.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded
from handrail.eventstore.tables import NOTHING_SEEN


@dataclass(frozen=True)
class Cursor:
    """How far a reader is: all that `since` sees, and of the batch up to `until` the positions up
    to `after`. Between two batches `until` is None and `after` is 0.

    `server` is the server's process that the snapshots were read from, empty where they stand in a
    table. What stands there goes with the server that has it; what is only in memory may be of a
    server that is lost, and its numbers are given out again by the next one.
    """

    since: str
    until: str | None = None
    after: int = 0
    server: str = field(default="", compare=False)


BEGINNING: Final = Cursor(NOTHING_SEEN)


@dataclass(frozen=True)
class Page:
    events: Sequence[Recorded]
    next: Cursor
    """Where to read on once the events were handled."""

    @property
    def ends_batch(self) -> bool:
        return self.next.until is None


# A process of a server ends with it, and when the server recovers from a crash: so what was read
# from it is true as long as it answers.
SERVER: Final = (
    "pg_backend_pid()::text || '@' || extract(epoch FROM pg_postmaster_start_time())::text"
)

_IN_OUTBOX = (
    "SELECT events.* FROM {}(%(since)s::pg_snapshot, u.until, %(after)s,"
    " %(shards)s::smallint[], %(limit)s) AS o JOIN events ON events.position = o.position"
)
_HISTORY = "SELECT * FROM feed_history(u.until, %(after)s, %(shards)s::smallint[], %(limit)s)"
_FIRST_PAGE = _IN_OUTBOX.format("feed_recent")
_LATER_PAGE = _IN_OUTBOX.format("feed_page")


async def read_page(
    connection: Connection, cursor: Cursor, shards: Sequence[int], limit: int
) -> Page:
    """The next page of at most `limit` events, in one statement.

    It has to be one statement: its snapshot is what it reads by and what it returns as `until`.
    Whoever has the cursor from memory compares `next.server` before the events are handled.
    A transaction that reads a page must not append: the next batch would take its events for seen.
    And a standby's snapshots do not tell who is still writing: only the primary has a feed.
    """
    if cursor.since == NOTHING_SEEN:
        events_of_page = _HISTORY
    else:
        events_of_page = _LATER_PAGE if cursor.after else _FIRST_PAGE
    result = await connection.execute(
        "WITH u AS MATERIALIZED ("
        " SELECT coalesce(%(until)s::pg_snapshot, pg_current_snapshot()) AS until,"
        f" {SERVER} AS server)"
        " SELECT u.until::text || ' ' || u.server, e.position, e.stream, e.version, e.type,"
        " e.schema, e.data, e.metadata, e.recorded_at"
        f" FROM u LEFT JOIN LATERAL ({events_of_page}) AS e ON true ORDER BY e.position",
        {
            "since": cursor.since,
            "until": cursor.until,
            "after": cursor.after,
            "shards": list(shards),
            "limit": limit,
        },
    )
    rows = await result.fetchall()
    until, server = rows[0][0].split()
    events = [Recorded(*row[1:]) for row in rows if row[1] is not None]
    if len(events) < limit:
        return Page(events, Cursor(until, server=server))
    after = events[-1].position
    return Page(events, replace(cursor, until=until, after=after, server=server))
