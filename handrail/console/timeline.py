"""The timeline of an entity: its events and its sagas' steps, messages out, webhooks in, and
notifications, the newest first.

Events are in the order of the store, a page of them at a time. Each says whether the relay has
published it. What is no event is put among them by its time: a webhook when it was received, a
notification when it was put into the queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.console.event_pages import event_address
from handrail.console.rendering import part
from handrail.eventstore.codec import UnknownMessage
from handrail.eventstore.tables import webhooks
from handrail.messaging.relay.parked_messages import RELAY, names_at
from handrail.messaging.relay.routing import Routing
from handrail.notifications.tables import ABOUT, RECIPIENT

SHOWN: Final = 300
"""How many events a page shows."""
BESIDE: Final = 100
"""How many webhooks, and how many notifications, a page shows at most."""
LATEST: Final = 2**63 - 1
"""A position behind all events."""

# A range of an index for each stream that has this id. An event is published once the relay's
# checkpoint of its shard sees it, unless it is parked there. Without a row no relay ever ran.
_EVENTS: Final[TextClause] = text("""
SELECT e.position, e.stream, e.version, e.type, e.schema, e.data, e.metadata, e.recorded_at,
    (SELECT pg_visible_in_snapshot(coalesce(o.txid, e.txid), c.since)
            OR coalesce(c.until IS NOT NULL AND e.position <= c.after_position
                AND pg_visible_in_snapshot(coalesce(o.txid, e.txid), c.until), false)
     FROM checkpoints c LEFT JOIN outbox o ON o.position = e.position
     WHERE c.projection = :relay AND c.shard = e.shard) AS is_published,
    (SELECT array_agg(substr(p.projection, :prefix)) FROM parked_events p
     WHERE p.projection = ANY (CAST(:parked AS text[])) AND p.stream = e.stream
        AND p.position = e.position) AS parked_at
FROM unnest(CAST(:streams AS text[])) AS s (name)
JOIN LATERAL (
    SELECT * FROM events e WHERE e.stream = s.name AND e.version <= coalesce((
        SELECT max(b.version) FROM events b WHERE b.stream = s.name AND b.position < :before), 0)
    ORDER BY e.version DESC LIMIT :limit
) e ON true
ORDER BY e.position DESC LIMIT :limit
""")
_BESIDE: Final[TextClause] = text(f"""
(SELECT 'webhook' AS kind, received_at AS at, source || '/' || id AS name, type AS what, status,
    coalesce(problem, '') AS said, CAST(NULL AS text) AS cause
 FROM webhooks
 WHERE {webhooks.c.subject.name} = :subject AND received_at >= :since AND received_at < :until
 ORDER BY received_at DESC LIMIT :limit)
UNION ALL
(SELECT 'notification', created_at, channel, kind, state, '', split_part(source, '#', 1)
 FROM notifications
 WHERE {RECIPIENT} = :recipient AND created_at >= :since AND created_at < :until
    AND (:about = '' OR {ABOUT} = :about)
 ORDER BY created_at DESC LIMIT :limit)
""")

_CAMPAIGN: Final = "campaign/"
Published = Literal["", "published", "waits", "parked"]


@dataclass(frozen=True)
class MessageOut:
    """The message of an event at the broker: `published` is empty without a broker. Of one that is
    parked, `links` are the pages where that is put right.
    """

    routing_key: str
    published: Published
    links: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Beside:
    """A webhook that came (`name` is its source and id), or a notification (`name` is its channel),
    of which `cause` is the event that it is about.
    """

    kind: Literal["webhook", "notification"]
    at: datetime
    name: str
    what: str
    status: str
    said: str
    cause: str | None

    @property
    def address(self) -> str:
        """The page of its cause; empty where that is no event."""
        stream, _, version = (self.cause or "").rpartition("/")
        is_event = "-" in stream and version.isdecimal() and not stream.startswith(_CAMPAIGN)
        return event_address(stream, int(version)) if is_event else ""


async def events_of(
    connection: AsyncConnection, streams: Sequence[str], routing: Routing, before: int
) -> Sequence[Mapping[str, Any]]:
    """The newest with positions below `before`, the oldest of them first."""
    asked = {
        "streams": list(dict.fromkeys(streams)),
        "before": before,
        "limit": SHOWN,
        "relay": RELAY,
        "prefix": len(RELAY) + 2,
        "parked": names_at(routing.exchanges),
    }
    found = (await connection.execute(_EVENTS, asked)).mappings()
    return [{**one, "message": _message(dict(one), routing)} for one in found][::-1]


def _message(event: Mapping[str, Any], routing: Routing) -> MessageOut:
    try:
        key = routing.routing_key(event["type"], event["schema"])
    except UnknownMessage:
        return MessageOut("", "")
    if routing.plan is None or event["is_published"] is None:
        return MessageOut(key, "")
    if event["parked_at"]:
        stream = part(event["stream"])
        links = [
            (one, f"/console/broker/{part(one)}/parked/{stream}") for one in event["parked_at"]
        ]
        return MessageOut(key, "parked", links)
    return MessageOut(key, "published" if event["is_published"] else "waits")


async def beside(
    connection: AsyncConnection,
    *,
    subject: str,
    about: str,
    recipient: str,
    since: datetime,
    until: datetime,
) -> Sequence[Beside]:
    """Of that time the webhooks about `subject`, and the notifications for `recipient`: none, where
    that is empty, and of the notifications those about `about`, unless that is empty.
    """
    asked = {
        "subject": subject,
        "about": about,
        "recipient": recipient,
        "since": since,
        "until": until,
        "limit": BESIDE,
    }
    return [Beside(*one) for one in await connection.execute(_BESIDE, asked)]


def merged(
    events: Sequence[Mapping[str, Any]], others: Sequence[Beside]
) -> Iterator[Mapping[str, Any] | Beside]:
    """The newest first; `events` are the oldest first, and stay in their order."""
    waiting = sorted(others, key=lambda one: one.at)
    for event in reversed(events):
        while waiting and waiting[-1].at >= event["recorded_at"]:
            yield waiting.pop()
        yield event
    yield from reversed(waiting)
