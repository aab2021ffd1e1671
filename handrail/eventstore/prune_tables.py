"""Retention of what nobody else deletes: a bounded batch of each table, found by an index.

`prune_tables` in the database does it, with the times that are here: the process that calls it can
choose nothing. How long everything is kept, and why, stands in `handrail/docs_pages/retention.py`.
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
MOMENTS_KEPT: Final = timedelta(days=90)
"""How long it is kept what had been committed when: as of earlier times, the clock decides."""
COMMANDS_KEPT: Final = "1 year"
"""What `maintain_partitions` is called with."""
_PRUNE: Final = "SELECT pruned, rows FROM prune_tables()"


async def prune(connection: Connection) -> Mapping[str, int]:
    """A bounded batch of each table; answers how many rows went."""
    return dict(await (await connection.execute(_PRUNE)).fetchall())
