"""Fans events out: a delivery for each endpoint of the event's tenant that asked for it.

The deliveries of a page are written in the transaction that moves the checkpoint: none is left out,
and an event that comes again finds its delivery there. Sending is another matter, so that no
endpoint holds up the feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from handrail.eventstore import checkpoints
from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.feed import Page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import Recorded
from handrail.eventstore.subscriptions.page_handler import Handled
from handrail.tenant_word import tenant_in
from handrail.webhook_endpoints.message import message_id
from handrail.webhook_endpoints.offered import OfferedEvents

FOLLOWER: Final = "webhooks"

# Endpoints are locked by their ids, so that processes never wait for each other in a circle; and
# whoever lets go of an endpoint meanwhile sees these deliveries. Which epoch an event is of decides
# about its id, and not which epoch it is read in: it has one id for ever.
_FAN_OUT: Final = """
WITH wanted AS (
    SELECT * FROM unnest(%(tenants)s::text[], %(streams)s::text[], %(versions)s::bigint[],
        %(positions)s::bigint[], %(times)s::timestamptz[], %(types)s::text[], %(ids)s::text[],
        %(later_ids)s::text[])
        AS w (tenant, stream, version, position, recorded_at, type, id, later_id)
), later AS MATERIALIZED (
    SELECT min(first_position) AS first FROM store_epochs WHERE epoch > 1
), there AS MATERIALIZED (
    SELECT id, tenant, events, created_at FROM webhook_endpoints
    WHERE tenant = ANY (%(tenants)s) AND state <> 'deleted' AND events && %(types)s::text[]
    ORDER BY id FOR NO KEY UPDATE
), new AS (
    INSERT INTO webhook_deliveries (endpoint, id, tenant, stream, version, position, type)
    SELECT t.id, CASE WHEN w.position >= l.first THEN w.later_id ELSE w.id END,
        w.tenant, w.stream, w.version, w.position, w.type
    FROM later l CROSS JOIN wanted w JOIN there t ON t.tenant = w.tenant AND w.type = ANY (t.events)
        AND w.recorded_at >= t.created_at
    ON CONFLICT (endpoint, id) DO NOTHING RETURNING endpoint
)
UPDATE webhook_endpoints e
SET next_at = least(e.next_at, greatest(clock_timestamp(), e.paused_until))
FROM (SELECT DISTINCT endpoint FROM new) AS n WHERE e.id = n.endpoint
"""


class FanOut:
    """Handles the pages of a subscriber: one statement for a page that has events of tenants."""

    def __init__(self, offered: OfferedEvents) -> None:
        self._offered = offered
        self._codec = offered.codec
        self._word = offered.routing.tenant

    @property
    def kind(self) -> str:
        return FOLLOWER

    async def followers(self, _: Connection) -> Sequence[str]:
        return [FOLLOWER]

    def reads(self, type_: str, schema: int) -> bool:
        return type_ in self._offered.routing.contexts and self._codec.reads(type_, schema)

    def wants(self, _: str, __: Recorded) -> bool:
        """An event of newer code may be one that a newer release offers."""
        return True

    async def handle(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page, lease: timedelta
    ) -> Handled:
        wanted = [
            (tenant, one.stream, one.version, one.position, one.recorded_at, key)
            for one in page.events
            if (tenant := tenant_in(one.metadata, self._word))
            for key in self._offered.keys_of(one.type, one.schema, one.data)
        ]
        async with connection.transaction():
            answer = await checkpoints.move(connection, group, page.next, lease)
            moved = checkpoints.moved(answer, group, page.next)
            if wanted:
                tenants, streams, versions, positions, times, types = map(
                    list, zip(*wanted, strict=True)
                )
                values = {
                    "tenants": tenants,
                    "streams": streams,
                    "versions": versions,
                    "positions": positions,
                    "times": times,
                    "types": types,
                    "ids": [message_id(one[1], one[2], one[5]) for one in wanted],
                    "later_ids": [
                        message_id(one[1], one[2], one[5], position=one[3]) for one in wanted
                    ],
                }
                await connection.execute(_FAN_OUT, values)
        return Handled(list(moved))
