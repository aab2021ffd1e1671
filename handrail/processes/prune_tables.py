"""Retention of what nobody else deletes: a bounded batch of each table, found by an index.

How long everything is kept, and why, stands in `handrail/docs_pages/retention.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from handrail.eventstore.pool import Connection

ANSWERS_KEPT: Final = timedelta(days=7)
"""How long the answer to an Idempotency-Key is kept."""
PLACES_KEPT: Final = timedelta(days=7)
"""How long a tenant's place may be taken: of those who have few sagas, nobody frees them."""
WEBHOOKS_KEPT: Final = timedelta(days=30)
"""How long a webhook that had its effect is kept; no sender repeats one for that long."""
ROW_SNAPSHOTS_KEPT: Final = timedelta(days=30)
"""How long a snapshot of a row is kept. Whoever needs one later takes it anew."""
COMMANDS_KEPT: Final = "1 year"
"""What `maintain_partitions` is called with."""
_AT_ONCE: Final = 10_000

# Not by clock_timestamp(): it may change from row to row, so no index finds what is older.
_OLD: Final = """
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {table} WHERE {column} < statement_timestamp() - %(kept)s {condition}
    ORDER BY {column} LIMIT %(batch)s))
"""


def _old(table: str, column: str, condition: str = "") -> str:
    return _OLD.format(table=table, column=column, condition=condition)


_STATEMENTS: Final[Mapping[str, tuple[str, timedelta]]] = {
    "requests": (_old("requests", "created_at"), ANSWERS_KEPT),
    "saga_places": (_old("saga_places", "taken_at"), PLACES_KEPT),
    "webhooks": (_old("webhooks", "received_at", "AND status = 'accepted'"), WEBHOOKS_KEPT),
    "row_snapshots": (_old("row_snapshots", "taken_at"), ROW_SNAPSHOTS_KEPT),
}


async def prune(connection: Connection, batch: int = _AT_ONCE) -> Mapping[str, int]:
    """At most `batch` rows of each table; answers how many went."""
    gone: dict[str, int] = {}
    for table, (statement, kept) in _STATEMENTS.items():
        cursor = await connection.execute(statement.encode(), {"kept": kept, "batch": batch})
        gone[table] = cursor.rowcount
    return gone
