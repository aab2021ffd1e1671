"""Copies in another form are handled as they are stored, so that no consumer of ours gets less.

The relay publishes an event in older forms for queues that are bound to them; a queue that is bound
to all forms gets these copies, too, and which message of an event comes first is not certain. What
a copy has lost is in the store. A consumer that cannot read the stored form handles the copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from handrail.eventstore.pool import Connection
from handrail.messaging.envelope import Received


async def as_stored(connection: Connection, messages: Sequence[Received]) -> Sequence[Received]:
    """The same messages; the store is asked only for copies, in one statement."""
    copies = [
        one
        for one in messages
        if one.stored is not None and one.codec.lineages.is_known(one.stored)
    ]
    if not copies:
        return messages
    cursor = await connection.execute(
        "SELECT e.position, e.type, e.schema, e.data FROM events e"
        " JOIN unnest(%s::bigint[], %s::text[], %s::bigint[]) AS g (position, stream, version)"
        " ON e.position = g.position AND e.stream = g.stream AND e.version = g.version",
        (
            [one.position for one in copies],
            [one.stream for one in copies],
            [one.version for one in copies],
        ),
    )
    found = {
        position: {"type": type_, "schema": schema, "data": data, "stored": None}
        for position, type_, schema, data in await cursor.fetchall()
    }
    return [
        replace(one, **found[one.position])
        if one.stored is not None and one.position in found
        else one
        for one in messages
    ]
