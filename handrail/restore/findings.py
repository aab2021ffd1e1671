"""Rows beside the event store that name events it does not have: inbox, parked, sent, derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from handrail.eventstore.business_tables import EventIds
from handrail.eventstore.pool import Connection
from handrail.notifications.tables import RECIPIENT

MOST: Final = 10_000
"""Rows of each kind that are named."""

_OF_AN_ID: Final = (
    "e.stream = regexp_replace(x.id, '/[0-9]+$', '')"
    " AND e.version = substring(x.id FROM '[0-9]+$')::numeric"
)
_HAS_NO_EVENT: Final = (
    f"x.id ~ '/[0-9]{{1,18}}$' AND NOT EXISTS (SELECT FROM events e WHERE {_OF_AN_ID})"
)

_ASKED: Final = {
    "inbox": f"""
        SELECT x.consumer || ' has handled ' || x.id || ', which is not in the store'
        FROM inbox x WHERE {_HAS_NO_EVENT} ORDER BY x.received_at DESC LIMIT %(most)s""",
    "parked_messages": """
        SELECT x.consumer || ' keeps ' || x.stream || '/' || x.version
            || ', which is not in the store at position ' || x.position
        FROM parked_messages x WHERE x.settled_at IS NULL AND NOT EXISTS (
            SELECT FROM events e WHERE e.stream = x.stream AND e.version = x.version
            AND e.position = x.position) ORDER BY x.parked_at DESC LIMIT %(most)s""",
    "parked_events": """
        SELECT x.projection || ' waits for position ' || x.position || ' of ' || x.stream
            || ', which is not in the store'
        FROM parked_events x WHERE NOT EXISTS (SELECT FROM events e WHERE e.position = x.position)
        ORDER BY x.position DESC LIMIT %(most)s""",
    "webhook_deliveries": """
        SELECT x.endpoint || ' is to get ' || x.stream || '/' || x.version
            || ', which is not in the store at position ' || x.position
        FROM webhook_deliveries x WHERE x.position > 0 AND x.state IN ('waiting', 'parked')
            AND NOT EXISTS (SELECT FROM events e WHERE e.position = x.position)
        ORDER BY x.position DESC LIMIT %(most)s""",
    "notifications": f"""
        SELECT DISTINCT x.{RECIPIENT} || ' was to be told of ' || x.id
            || ', which is not in the store'
        FROM (SELECT source AS id, {RECIPIENT} FROM notifications) AS x
        WHERE {_HAS_NO_EVENT} LIMIT %(most)s""",
    "checkpoints": """
        SELECT x.projection || ', shard ' || x.shard || ': '
            || CASE WHEN x.epoch <> (SELECT coalesce(max(epoch), 1) FROM store_epochs)
                THEN 'of epoch ' || x.epoch
                ELSE 'ahead of the store, at transaction ' || pg_snapshot_xmax(x.since)::text END
        FROM checkpoints x
        WHERE x.epoch <> (SELECT coalesce(max(epoch), 1) FROM store_epochs)
            OR pg_snapshot_xmax(x.since) > pg_snapshot_xmax(pg_current_snapshot())
            OR pg_snapshot_xmax(x.until) > pg_snapshot_xmax(pg_current_snapshot())
        ORDER BY x.projection, x.shard LIMIT %(most)s""",
}
_THERE: Final = "SELECT t FROM unnest(%s::text[]) AS t WHERE to_regclass(t) IS NOT NULL"


@dataclass(frozen=True)
class Finding:
    """`of` is where it was found, `said` a sentence that names it."""

    of: str
    said: str


async def around_the_events(
    connection: Connection, event_ids: Sequence[EventIds] = ()
) -> list[Finding]:
    """`event_ids` are the columns of the business that name events."""
    found = []
    rows = await connection.execute(_THERE, (list(_ASKED),))
    there = {of for (of,) in await rows.fetchall()}  # in the schema of an earlier release, fewer
    asked = [(of, query, "") for of, query in _ASKED.items() if of in there]
    asked += [(one.found_in, _of_business(one), one.says) for one in event_ids]
    for of, query, says in asked:
        rows = await connection.execute(query.encode(), {"most": MOST, "says": says})
        found += [Finding(of, said) for (said,) in await rows.fetchall()]
    return found


def _of_business(kept: EventIds) -> str:
    return f"""
        SELECT DISTINCT %(says)s::text || ' ' || x.id || ', which is not in the store'
        FROM (SELECT {kept.column} AS id FROM {kept.table}) AS x
        WHERE {_HAS_NO_EVENT} LIMIT %(most)s"""
