"""Retention of webhook deliveries and of endpoints that were deleted, in bounded batches."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from handrail.eventstore.pool import Connection

SETTLED_KEPT: Final = timedelta(days=30)
"""How long a delivery is kept after it was sent or discarded."""
OPEN_KEPT: Final = timedelta(days=90)
"""How long one is kept that is not: then it is discarded."""
_LIMIT: Final = 10_000

_DISCARD: Final = f"""
UPDATE webhook_deliveries SET state = 'discarded', settled_at = clock_timestamp(),
    settled_by = 'retention'
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM webhook_deliveries
    WHERE state IN ('waiting', 'parked') AND created_at < now() - %s
    ORDER BY created_at LIMIT {_LIMIT}))
"""
_SETTLED: Final = f"""
DELETE FROM webhook_deliveries WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM webhook_deliveries WHERE settled_at < now() - %s
    ORDER BY settled_at LIMIT {_LIMIT}))
"""
_OF_DELETED: Final = f"""
DELETE FROM webhook_deliveries WHERE ctid = ANY (ARRAY(
    SELECT d.ctid FROM webhook_endpoints e JOIN webhook_deliveries d ON d.endpoint = e.id
    WHERE e.state = 'deleted' LIMIT {_LIMIT}))
"""
_ENDPOINTS: Final = """
DELETE FROM webhook_endpoints e WHERE e.state = 'deleted' AND e.state_since < now() - %s
    AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.endpoint = e.id)
"""


async def prune(connection: Connection) -> None:
    """A batch of each."""
    await connection.execute(_DISCARD, (OPEN_KEPT,))
    await connection.execute(_SETTLED, (SETTLED_KEPT,))
    await connection.execute(_OF_DELETED)
    await connection.execute(_ENDPOINTS, (SETTLED_KEPT,))
