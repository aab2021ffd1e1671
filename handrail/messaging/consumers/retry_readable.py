"""Streams that wait at a consumer for newer code: handled by themselves once a process has it.

A queue brings a message to whichever process takes from it. One whose code cannot read the message
sets it aside, acknowledges it, and has the later ones of its stream wait behind it: the message is
not given back to the queue, where it would come again at once, and count as a failed delivery. Each
process looks for what was set aside, or parked by releases that did not wait, and can be read now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from handrail.eventstore.codec import Codec
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.unread_forms import is_readable_now
from handrail.kernel import Attribution
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.parked_messages import IS_UNREAD, NothingParked, retry

_log = structlog.get_logger(__name__)

BY_ITSELF: Final = Attribution("handrail", "the code reads now what it could not read")
_PAGE: Final = 100
LOOKS: Final = 5.0
"""Seconds between two looks for streams that can be read now."""


async def retry_readable(connection: Connection, consumer: Consumer, codec: Codec) -> int:
    """Handle, in order, what waits of each stream whose first message can be read now; answers how
    many messages were handled.
    """
    handled = 0
    after: tuple[datetime, str] | None = None
    while page := await _unread(connection, consumer.name, after):
        for _, stream, cause in page:
            if not is_readable_now(cause, codec):
                continue
            try:
                done = await retry(connection, consumer, codec, stream, BY_ITSELF)
            except NothingParked:  # another process was faster
                continue
            handled += done.handled
            _log.info(
                "stream goes on with newer code",
                consumer=consumer.name,
                stream=stream,
                handled=done.handled,
                stopped_by=done.stopped_by.cause if done.stopped_by else None,
            )
        after = page[-1][:2]
    return handled


async def keep_retrying(pool: Pool, consumer: Consumer, codec: Codec) -> None:
    """Look at once, and then every few seconds: until it is cancelled."""

    async def look() -> None:
        async with pool.connection() as connection:
            await retry_readable(connection, consumer, codec)

    await run_periodically(look, LOOKS, _log, "what waits for newer code was not looked at")


async def _unread(
    connection: Connection, consumer: str, after: tuple[datetime, str] | None
) -> Sequence[tuple[datetime, str, str]]:
    """The next streams whose first message waits because it could not be read."""
    cursor = await connection.execute(
        "SELECT p.parked_at, p.stream, head.cause FROM parked_streams p CROSS JOIN LATERAL ("
        "  SELECT cause FROM parked_messages m WHERE m.consumer = p.consumer"
        "  AND m.stream = p.stream AND m.settled_at IS NULL ORDER BY version LIMIT 1) AS head"
        f" WHERE p.consumer = %(consumer)s AND {IS_UNREAD} AND (%(at)s::timestamptz IS NULL"
        "  OR (p.parked_at, p.stream) > (%(at)s::timestamptz, %(stream)s::text))"
        " ORDER BY p.parked_at, p.stream LIMIT %(limit)s",
        {
            "consumer": consumer,
            "at": after and after[0],
            "stream": after and after[1],
            "limit": _PAGE,
        },
    )
    return [(at, stream, cause) for at, stream, cause in await cursor.fetchall()]
