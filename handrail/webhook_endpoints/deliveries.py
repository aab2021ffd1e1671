"""Deliveries in the database, as the API shows them and has them sent again or discarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.paging import After, Slice, slice_of
from handrail.webhook_endpoints.endpoints import Endpoint, wake
from handrail.webhook_endpoints.message import TEST_TYPE, message_id
from handrail.webhook_endpoints.tables import webhook_deliveries

State = Literal["waiting", "delivered", "parked", "discarded"]
AT_ONCE: Final = 10_000
"""How many parked deliveries one request has sent again."""
_BY_TIME: Final = (webhook_deliveries.c.created_at, webhook_deliveries.c.id)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event for an endpoint. `status` is that of the last answer, `problem` what was wrong."""

    id: str
    endpoint: str
    stream: str
    version: int
    type: str
    state: State
    created_at: datetime
    due_at: datetime
    attempts: int
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    status: int | None
    problem: str | None
    settled_at: datetime | None
    settled_by: str | None


async def listed(
    connection: AsyncConnection,
    endpoint: str,
    *,
    state: State | None,
    after: After | None,
    limit: int,
) -> Slice[Delivery]:
    """Of one endpoint, the newest first."""
    table = webhook_deliveries
    query = select(*(table.c[one.name] for one in fields(Delivery))).where(
        table.c.endpoint == endpoint
    )
    if state is not None:
        query = query.where(table.c.state == state)
    return await slice_of(
        connection, query, Delivery, by=_BY_TIME, after=after, limit=limit, newest_first=True
    )


async def send_test(connection: AsyncConnection, endpoint: Endpoint) -> str:
    """Have a message without an event sent; answers its id."""
    version = int(datetime.now(UTC).timestamp() * 1_000_000)
    stream = f"webhook_endpoint-{endpoint.id}-{version}"  # tests do not wait for each other
    id_ = message_id(stream, version, TEST_TYPE)
    await connection.execute(
        insert(webhook_deliveries).values(
            endpoint=endpoint.id,
            id=id_,
            tenant=endpoint.tenant,
            stream=stream,
            version=version,
            position=0,
            type=TEST_TYPE,
        )
    )
    await wake(connection, endpoint.id)
    return id_


# What waits behind a delivery of the same stream was put off as long as that one.
_AGAIN: Final = text("""
WITH again AS (
    UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, first_attempt_at = NULL,
        due_at = clock_timestamp(), settled_at = NULL, settled_by = NULL
    WHERE endpoint = :endpoint AND id = ANY (ARRAY(
        SELECT id FROM webhook_deliveries
        WHERE endpoint = :endpoint
            AND (id = :id OR (CAST(:id AS text) IS NULL AND state = 'parked'))
        ORDER BY created_at, id LIMIT :limit))
    RETURNING stream
), behind AS (
    UPDATE webhook_deliveries d SET due_at = clock_timestamp() FROM (
        SELECT DISTINCT stream FROM again) AS a
    WHERE d.endpoint = :endpoint AND d.stream = a.stream AND d.state = 'waiting'
)
SELECT count(*) FROM again
""")
_DISCARD: Final = text("""
WITH gone AS (
    UPDATE webhook_deliveries SET state = 'discarded', settled_at = clock_timestamp(),
        settled_by = :by
    WHERE endpoint = :endpoint AND id = :id AND state IN ('waiting', 'parked')
    RETURNING stream
), behind AS (
    UPDATE webhook_deliveries d SET due_at = clock_timestamp() FROM gone
    WHERE d.endpoint = :endpoint AND d.stream = gone.stream AND d.state = 'waiting'
        AND d.id <> :id
)
SELECT count(*) FROM gone
""")


async def send_again(connection: AsyncConnection, endpoint: str, id_: str | None) -> int:
    """One delivery, whatever became of it; or without an id all that are parked, 10,000 at most.
    Answers how many.
    """
    values = {"endpoint": endpoint, "id": id_, "limit": AT_ONCE}
    count = int((await connection.execute(_AGAIN, values)).scalar_one())
    if count:
        await wake(connection, endpoint)
    return count


async def discard(connection: AsyncConnection, endpoint: str, id_: str, *, by: str) -> bool:
    """What waits behind it goes on. False where it does not wait."""
    values = {"endpoint": endpoint, "id": id_, "by": by}
    if not (await connection.execute(_DISCARD, values)).scalar_one():
        return False
    await wake(connection, endpoint)
    return True


async def counts(
    connection: AsyncConnection, endpoints: Sequence[str]
) -> dict[str, dict[str, int]]:
    """How many wait and are parked of each endpoint, 10,000 at most."""
    found: dict[str, dict[str, int]] = {one: {"waiting": 0, "parked": 0} for one in endpoints}
    for endpoint, state, count in await connection.execute(_COUNTS, {"ids": list(endpoints)}):
        found[endpoint][state] = count
    return found


_COUNTS: Final = text("""
SELECT e.id, s.state, (SELECT count(*) FROM (
    SELECT FROM webhook_deliveries d WHERE d.endpoint = e.id AND d.state = s.state
        AND d.state IN ('waiting', 'parked') LIMIT 10000) AS n)
FROM unnest(CAST(:ids AS text[])) AS e (id), unnest(ARRAY['waiting', 'parked']) AS s (state)
""")
