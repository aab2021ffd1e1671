"""Messages of events that the store has lost.

The broker may still bring what was published by a server that is gone. Such an event is in no other
book, and its stream goes on without it: its id is given to another event. So it has no effect and
is not noted, and the other one is no duplicate of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from handrail.eventstore.pool import Connection, first_position_of
from handrail.messaging.envelope import Received

_log = structlog.get_logger(__name__)


async def without_lost(
    connection: Connection, consumer: str, messages: Sequence[Received]
) -> Sequence[Received]:
    """Those whose events are in the store. It is asked only about messages of earlier epochs."""
    old = [message for message in messages if message.position < first_position_of(connection)]
    if not old:
        return messages
    found = await connection.execute(
        "SELECT g.id, g.position FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[])"
        " AS g (id, position, stream, version)"
        " WHERE NOT EXISTS (SELECT FROM events e WHERE e.position = g.position"
        "  AND e.stream = g.stream AND e.version = g.version)",
        (
            [one.id for one in old],
            [one.position for one in old],
            [one.stream for one in old],
            [one.version for one in old],
        ),
    )
    lost = set(await found.fetchall())
    for id_, position in sorted(lost):
        _log.error(
            "message of an event that the store has lost",
            consumer=consumer,
            id=id_,
            position=position,
        )
    return [one for one in messages if (one.id, one.position) not in lost]
