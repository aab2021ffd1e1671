"""The queue of deliveries, as a dispatcher works it off: endpoint by endpoint, under a lease.

One process at a time sends to an endpoint, so that the events of a stream go there one after the
other. A process that dies leaves a lease that ends; what it had sent and not noted is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from handrail.eventstore.pool import Connection

_LOOKS: Final = "interval '1 hour'"
"""How often it is looked at whether the parked one is gone that a delivery waits behind: discarding
one, or sending it again, wakes those behind it at once.
"""


@dataclass(frozen=True)
class Target:
    """An endpoint that is active and this process's; `secrets` are sealed."""

    id: str
    tenant: str
    url: str
    secrets: Sequence[str]
    failures: int


@dataclass(frozen=True)
class StoredEvent:
    type: str
    schema: int
    data: Mapping[str, Any]
    recorded_at: datetime


@dataclass(frozen=True)
class Due:
    """A delivery that is due. `event` is None of a test; `earlier` counts those of its stream that
    come before it and are not done, of which the first is due at `behind`.
    """

    id: str
    stream: str
    version: int
    type: str
    attempts: int
    first_attempt_at: datetime | None
    created_at: datetime
    due_at: datetime
    event: StoredEvent | None
    earlier: int
    behind: datetime | None


_CLAIM: Final = """
UPDATE webhook_endpoints e SET owner = %(owner)s, leased_until = clock_timestamp() + %(lease)s
FROM (
    SELECT id FROM webhook_endpoints
    WHERE state = 'active' AND next_at <= now()
        AND (owner IS NULL OR leased_until < clock_timestamp()
            -- A lease that ends later than any can is from before the clock was put back.
            OR leased_until > clock_timestamp() + 2 * %(lease)s)
    ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) AS due WHERE e.id = due.id RETURNING e.id
"""
_RENEW: Final = """
UPDATE webhook_endpoints e SET leased_until = clock_timestamp() + %(lease)s
FROM (SELECT id FROM webhook_endpoints WHERE id = ANY (%(ids)s) AND owner = %(owner)s
    ORDER BY id FOR UPDATE) AS mine
WHERE e.id = mine.id RETURNING e.id
"""
_TARGET: Final = """
SELECT id, tenant, url, secret, CASE WHEN earlier_until > clock_timestamp() THEN earlier_secret END,
    failures
FROM webhook_endpoints WHERE id = %s AND owner = %s AND state = 'active'
"""
_DUE: Final = f"""
WITH due AS MATERIALIZED (
    SELECT * FROM webhook_deliveries
    WHERE endpoint = %(endpoint)s AND state = 'waiting' AND due_at <= now()
    ORDER BY due_at, position LIMIT %(limit)s
)
SELECT d.id, d.stream, d.version, d.type, d.attempts, d.first_attempt_at, d.created_at,
    d.due_at, e.type, e.schema, e.data, e.recorded_at,
    (SELECT count(*) FROM (
        SELECT FROM webhook_deliveries b WHERE b.endpoint = d.endpoint AND b.stream = d.stream
            AND b.version < d.version AND b.state IN ('waiting', 'parked')
        LIMIT %(limit)s) AS n),
    (SELECT greatest(d.due_at, CASE b.state WHEN 'parked' THEN now() + {_LOOKS} ELSE b.due_at END)
        FROM webhook_deliveries b WHERE b.endpoint = d.endpoint AND b.stream = d.stream
            AND b.version < d.version AND b.state IN ('waiting', 'parked')
        ORDER BY b.version LIMIT 1) + interval '1 microsecond'
FROM due d LEFT JOIN events e ON e.position = d.position
ORDER BY d.stream, d.version, d.type
"""
_PUT_BEHIND: Final = """
UPDATE webhook_deliveries d SET due_at = b.due_at
FROM unnest(%(ids)s::text[], %(were)s::timestamptz[], %(times)s::timestamptz[])
    AS b (id, was, due_at)
-- What was woken meanwhile stays awake.
WHERE d.endpoint = %(endpoint)s AND d.id = b.id AND d.state = 'waiting' AND d.due_at = b.was
"""
# What was sent was sent, whatever was decided meanwhile.
_DELIVERED: Final = """
WITH done AS (
    UPDATE webhook_deliveries SET state = 'delivered', attempts = attempts + 1,
        first_attempt_at = coalesce(first_attempt_at, %(at)s), last_attempt_at = %(at)s,
        status = %(status)s, problem = NULL, settled_at = clock_timestamp(), settled_by = 'sent'
    WHERE endpoint = %(endpoint)s AND id = %(id)s AND state IN ('waiting', 'parked')
)
UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, last_problem = NULL,
    last_delivered_at = clock_timestamp()
WHERE id = %(endpoint)s AND (failures > 0 OR last_delivered_at IS NULL
    OR last_delivered_at < clock_timestamp() - interval '10 seconds')
"""
_FAILED: Final = """
WITH tried AS (
    UPDATE webhook_deliveries SET state = %(state)s, attempts = attempts + 1,
        first_attempt_at = coalesce(first_attempt_at, %(at)s), last_attempt_at = %(at)s,
        status = %(status)s, problem = %(problem)s, due_at = clock_timestamp() + %(again)s
    WHERE endpoint = %(endpoint)s AND id = %(id)s AND state = 'waiting'
)
UPDATE webhook_endpoints SET failures = failures + 1, last_problem = %(problem)s,
    failing_since = coalesce(failing_since, %(at)s)
WHERE id = %(endpoint)s RETURNING failures, clock_timestamp() - failing_since
"""
_PARKED: Final = """
UPDATE webhook_deliveries SET state = 'parked', problem = %(problem)s
WHERE endpoint = %(endpoint)s AND id = %(id)s AND state = 'waiting'
"""
_PAUSE: Final = """
UPDATE webhook_endpoints SET paused_until = clock_timestamp() + %s WHERE id = %s
"""
_DISABLE: Final = """
UPDATE webhook_endpoints SET state = 'disabled', state_by = %(by)s, state_because = %(because)s,
    state_since = clock_timestamp()
WHERE id = %(endpoint)s AND state = 'active' RETURNING id
"""
# Two statements: deliveries that came while the row was waited for are seen by the second.
_LOCK: Final = "SELECT FROM webhook_endpoints WHERE id = %s AND owner = %s FOR UPDATE"
_LET_GO: Final = """
UPDATE webhook_endpoints e SET owner = NULL, leased_until = NULL,
    next_at = CASE WHEN d.due_at IS NOT NULL THEN greatest(e.paused_until, d.due_at) END
FROM (SELECT min(due_at) AS due_at FROM webhook_deliveries
    WHERE endpoint = %(endpoint)s AND state = 'waiting') AS d
WHERE e.id = %(endpoint)s AND e.owner = %(owner)s
"""


@dataclass(frozen=True)
class DeliveryQueue:
    """What the dispatcher `owner` says to the database; its leases are `lease` long."""

    owner: str
    lease: timedelta

    async def claim(self, connection: Connection, limit: int) -> Sequence[str]:
        """Endpoints that have something due and that no living process has: its own from now on."""
        values = {"owner": self.owner, "lease": self.lease, "limit": limit}
        cursor = await connection.execute(_CLAIM, values)
        return [one for (one,) in await cursor.fetchall()]

    async def renew(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        """Those of the endpoints that are its own still."""
        values = {"owner": self.owner, "lease": self.lease, "ids": list(ids)}
        cursor = await connection.execute(_RENEW, values)
        return {one for (one,) in await cursor.fetchall()}

    async def target(self, connection: Connection, endpoint: str) -> Target | None:
        """None where it is not active any more, or not its own."""
        cursor = await connection.execute(_TARGET, (endpoint, self.owner))
        if (row := await cursor.fetchone()) is None:
            return None
        id_, tenant, url, secret, earlier, failures = row
        return Target(id_, tenant, url, [one for one in (secret, earlier) if one], failures)

    async def due(self, connection: Connection, endpoint: str, limit: int) -> Sequence[Due]:
        """In the order of each stream."""
        cursor = await connection.execute(_DUE, {"endpoint": endpoint, "limit": limit})
        return [_due(row) for row in await cursor.fetchall()]

    async def put_behind(
        self, connection: Connection, endpoint: str, waiting: Sequence[Due]
    ) -> None:
        """Have these wait as long as the first of their stream does."""
        values = {
            "endpoint": endpoint,
            "ids": [one.id for one in waiting],
            "were": [one.due_at for one in waiting],
            "times": [one.behind for one in waiting],
        }
        await connection.execute(_PUT_BEHIND, values)

    async def delivered(
        self, connection: Connection, endpoint: str, due: Due, at: datetime, status: int
    ) -> None:
        values = {"endpoint": endpoint, "id": due.id, "at": at, "status": status}
        await connection.execute(_DELIVERED, values)

    async def failed(
        self,
        connection: Connection,
        endpoint: str,
        due: Due,
        *,
        at: datetime,
        status: int | None,
        problem: str,
        again: timedelta | None,
    ) -> tuple[int, timedelta]:
        """`again` is after how long it is tried again; None: it is parked. Answers how many tries
        in a row have failed at the endpoint, and for how long.
        """
        values = {
            "endpoint": endpoint,
            "id": due.id,
            "at": at,
            "status": status,
            "problem": problem,
            "state": "parked" if again is None else "waiting",
            "again": again or timedelta(0),
        }
        cursor = await connection.execute(_FAILED, values)
        row = await cursor.fetchone()
        return (0, timedelta(0)) if row is None else (row[0], row[1])

    async def park(self, connection: Connection, endpoint: str, due: Due, problem: str) -> None:
        """What cannot be sent, as no message can be made of it."""
        await connection.execute(_PARKED, {"endpoint": endpoint, "id": due.id, "problem": problem})

    async def pause(self, connection: Connection, endpoint: str, time: timedelta) -> None:
        """Nothing is sent there for so long."""
        await connection.execute(_PAUSE, (time, endpoint))

    async def disable(self, connection: Connection, endpoint: str, because: str) -> bool:
        """Whether it was active before."""
        values = {"endpoint": endpoint, "by": "service:dispatcher", "because": because}
        return await (await connection.execute(_DISABLE, values)).fetchone() is not None

    async def let_go(self, connection: Connection, endpoint: str) -> None:
        """Have any process take it when there is something to send again."""
        async with connection.transaction():
            await connection.execute(_LOCK, (endpoint, self.owner))
            await connection.execute(_LET_GO, {"endpoint": endpoint, "owner": self.owner})


def _due(row: Sequence[Any]) -> Due:
    id_, stream, version, type_, attempts, first, created, due, *event_, earlier, behind = row
    name, schema, data, at = event_
    event = None if name is None else StoredEvent(name, schema, data, at)
    known = (id_, stream, version, type_, attempts, first, created, due)
    return Due(*known, event, earlier, behind)
