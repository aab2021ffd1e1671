"""The queue, as those see it who send: take what is due, and say what became of it.

Whoever takes a message puts its `due_at` off by a lease. No lock is held while it is sent, so a
sender that dies leaves nothing behind but a message that is due again when the lease is over; and
what it had sent by then, the provider knows by its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from handrail.eventstore.pool import Connection
from handrail.notifications.contact_rows import COLUMNS, contact_of
from handrail.notifications.contacts import Channel, Contact
from handrail.notifications.provider import Letter
from handrail.notifications.tables import RECIPIENT

Lane = Literal["transactional", "campaign"]
TRANSACTIONAL: Final = "transactional"
CAMPAIGN: Final = "campaign"
LANES: Final[tuple[Lane, ...]] = (TRANSACTIONAL, CAMPAIGN)


@dataclass(frozen=True, kw_only=True)
class Due:
    """A message that somebody has taken to send it, until `leased_until`."""

    lane: Lane
    source: str
    channel: Channel
    kind: str
    leased_until: datetime
    expires_at: datetime | None
    attempts: int
    contact: Contact
    letter: Letter | None
    """None where there is no address to send it to."""
    traceparent: str | None = None
    """The trace of the event it is about."""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What became of a message. With the state `waiting` it is tried again at `due_at`.

    `tried` tells whether the provider may have it: if not, it need not keep its address.
    """

    due: Due
    state: Literal["waiting", "sent", "failed", "parked", "withheld"]
    due_at: datetime | None = None
    tried: bool = False
    provider_id: str | None = None
    reason: str | None = None


_TAKE: Final = f"""
WITH due AS MATERIALIZED (
    SELECT lane, source, channel FROM notifications
    WHERE lane = %(lane)s AND state = 'waiting' AND due_at <= now()
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE notifications AS n SET due_at = clock_timestamp() + %(lease)s,
        address = coalesce(n.address, (
            SELECT CASE n.channel WHEN 'push' THEN c.push WHEN 'sms' THEN c.sms ELSE c.email END
            FROM notification_contacts AS c WHERE c.{RECIPIENT} = n.{RECIPIENT}))
    FROM due WHERE n.lane = %(lane)s AND n.source = due.source AND n.channel = due.channel
    RETURNING n.*
)
SELECT n.source, n.channel, n.kind, n.due_at, n.expires_at, n.attempts, n.round, n.address,
    coalesce(n.subject, k.texts -> n.language ->> 'subject'),
    coalesce(n.body, k.texts -> n.language ->> 'body'), n.traceparent, {COLUMNS}
FROM taken AS n LEFT JOIN notification_contacts AS c ON c.{RECIPIENT} = n.{RECIPIENT}
LEFT JOIN campaigns AS k ON k.name = n.campaign
"""

# A message that was sent was sent, whatever else was decided meanwhile. Of anything else, only
# whoever still has the lease may speak.
_SETTLE: Final = """
UPDATE notifications AS n SET state = s.state, due_at = coalesce(s.due_at, n.due_at),
    attempts = n.attempts + s.tried::int,
    address = CASE WHEN s.tried OR n.attempts > 0 THEN n.address END,
    provider_id = s.provider_id, reason = s.reason,
    settled_at = CASE WHEN s.state <> 'waiting' THEN clock_timestamp() END
FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::timestamptz[],
    %s::bool[], %s::text[], %s::text[])
    AS s (lane, source, channel, leased_until, state, due_at, tried, provider_id, reason)
WHERE n.lane = s.lane AND n.source = s.source AND n.channel = s.channel
    AND CASE s.state WHEN 'sent' THEN n.state <> 'sent'
        ELSE n.state = 'waiting' AND n.due_at = s.leased_until END
"""


async def take(connection: Connection, lane: Lane, limit: int, lease: timedelta) -> Sequence[Due]:
    """At most `limit` messages that are due, the oldest first; nobody waits for anybody here."""
    cursor = await connection.execute(_TAKE, {"lane": lane, "limit": limit, "lease": lease})
    return [_due(lane, row) for row in await cursor.fetchall()]


async def settle(connection: Connection, settled: Sequence[Settled]) -> None:
    if not settled:
        return
    rows = [
        (
            one.due.lane,
            one.due.source,
            one.due.channel,
            one.due.leased_until,
            one.state,
            one.due_at,
            one.tried,
            one.provider_id,
            one.reason,
        )
        for one in settled
    ]
    await connection.execute(_SETTLE, [list(column) for column in zip(*rows, strict=True)])


def _due(lane: Lane, row: Sequence[Any]) -> Due:
    source, channel, kind, leased_until, expires_at, attempts, round_ = row[:7]
    address, subject, body, traceparent = row[7:11]
    letter = None
    if address is not None:
        letter = Letter(
            key=f"{source}/{channel}/{round_}",
            channel=channel,
            to=address,
            subject=subject or "",
            body=body,
        )
    return Due(
        lane=lane,
        source=source,
        channel=channel,
        kind=kind,
        leased_until=leased_until,
        expires_at=expires_at,
        attempts=attempts,
        contact=contact_of(row[11:]),
        letter=letter,
        traceparent=traceparent,
    )
