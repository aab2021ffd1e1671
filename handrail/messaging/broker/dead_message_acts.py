"""Rows of `dead_message_acts`: what was done to a dead or unrouted message, and its original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import orjson
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.kernel import Attribution

ActKind = Literal["redrive", "edit", "discard"]
KEPT: Final = timedelta(days=365)
"""How long an original is kept."""
_SHOWN: Final = 100


@dataclass(frozen=True, kw_only=True)
class Original:
    """A message as it was. `sent_to` are the queues that a copy goes to, with the body `edited`
    where that is not None.
    """

    act: ActKind
    vhost: str
    queue: str
    message: str
    message_id: str
    exchange: str
    routing_key: str
    headers: Mapping[str, Any]
    body: bytes
    edited: bytes | None
    sent_to: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class DeadMessageAct:
    """`settled_at` is None where the message may be in its queue still, and its copy elsewhere."""

    id: int
    act: ActKind
    vhost: str
    queue: str
    message: str
    message_id: str
    routing_key: str
    sent_to: Sequence[str]
    actor: str
    reason: str
    at: datetime
    settled_at: datetime | None
    body: bytes
    edited: bytes | None


_KEEP: Final[TextClause] = text("""
WITH gone AS (DELETE FROM dead_message_acts WHERE at < clock_timestamp() - :kept),
asked AS (SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (
    place int, act text, vhost text, queue text, message text, message_id text, exchange text,
    routing_key text, headers jsonb, body text, edited text, sent_to jsonb)),
kept AS (
    INSERT INTO dead_message_acts (act, vhost, queue, message, message_id, exchange, routing_key,
        headers, body, edited, sent_to, actor, reason)
    SELECT act, vhost, queue, message, message_id, exchange, routing_key, headers,
        decode(body, 'hex'), decode(edited, 'hex'),
        ARRAY(SELECT jsonb_array_elements_text(sent_to)), :actor, :reason
    FROM asked ORDER BY place
    RETURNING id)
SELECT id FROM kept ORDER BY id
""")
_SETTLE: Final[TextClause] = text(
    "UPDATE dead_message_acts SET settled_at = clock_timestamp() WHERE id = ANY (:ids)"
)
_RECENT: Final[TextClause] = text("""
SELECT id, act, vhost, queue, message, message_id, routing_key, sent_to, actor, reason, at,
    settled_at, body, edited
FROM dead_message_acts WHERE vhost = :vhost AND queue = :queue ORDER BY id DESC LIMIT :limit
""")


async def keep(
    connection: AsyncConnection, originals: Sequence[Original], by: Attribution
) -> Sequence[int]:
    """Store messages before anything is done to them: the ids of the rows, in their order."""
    if not originals:
        return []
    rows = [
        {
            "place": place,
            **{name: value for name, value in vars(one).items() if name not in {"body", "edited"}},
            "body": one.body.hex(),
            "edited": None if one.edited is None else one.edited.hex(),
        }
        for place, one in enumerate(originals)
    ]
    values = {"rows": orjson.dumps(rows).decode(), "kept": KEPT}
    found = await connection.execute(_KEEP, {**values, "actor": by.actor, "reason": by.reason})
    return list(found.scalars())


async def settle(connection: AsyncConnection, ids: Sequence[int]) -> None:
    """Note that the messages are gone from their queue."""
    if ids:
        await connection.execute(_SETTLE, {"ids": list(ids)})


async def recent(
    connection: AsyncConnection, vhost: str, queue: str, limit: int = _SHOWN
) -> Sequence[DeadMessageAct]:
    """The newest acts on messages of a queue, at most 100."""
    values = {"vhost": vhost, "queue": queue, "limit": min(limit, _SHOWN)}
    return [DeadMessageAct(**one) for one in (await connection.execute(_RECENT, values)).mappings()]
