"""A past for the event store, copied in: what appends would have left, but for the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

import orjson

from benchmarks.market import DAY, Append
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import shard_of
from runtime.app import HANDRAIL

EVERY: Final = timedelta(milliseconds=20)
"""Between two events of the past."""
_EVENTS: Final = (
    "COPY events (stream, version, shard, type, schema, data, metadata, recorded_at) FROM STDIN"
)
_TOLD_EVERY: Final = 10_000


async def write_past(
    connection: Connection,
    appends: Iterable[Append],
    events: int,
    told: Callable[[int], None] = lambda _written: None,
) -> None:
    """The first so many events, in one transaction, all of it old news to live feeds.

    `told` hears how many are written.
    """
    versions: dict[str, int] = {}
    written = 0
    async with connection.transaction(), connection.cursor() as cursor:
        async with cursor.copy(_EVENTS) as copy:
            for append in appends:
                metadata = orjson.dumps(append.metadata).decode()
                for stream, several in append.events.items():
                    shard = shard_of(stream)
                    for event in several:
                        encoded = HANDRAIL.codec.encode(event)
                        version = versions[stream] = versions.get(stream, 0) + 1
                        data, at = encoded.data.decode(), DAY + written * EVERY
                        await copy.write_row(
                            (
                                stream,
                                version,
                                shard,
                                encoded.type,
                                encoded.schema,
                                data,
                                metadata,
                                at,
                            )
                        )
                        written += 1
                        if written % _TOLD_EVERY == 0:
                            told(written)
                if written >= events:
                    break
        async with cursor.copy("COPY streams (name, version) FROM STDIN") as copy:
            for stream, version in versions.items():
                await copy.write_row((stream, version))
    await connection.execute("ANALYZE events, streams")
