"""Batches of events for the lake: cut, read again, settled.

A batch's events are fixed in the store before any of them is written, so that writing it twice is
writing the same. All statements that change something also move the checkpoints, by compare and
set: a process that lost its turn changes nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from handrail.eventstore import checkpoints
from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.feed import Cursor, read_page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import SHARDS, Recorded

_ALL: Final = tuple(range(SHARDS))
_KEPT: Final = 10_000
"""How many of the newest batches stay on record."""


class BatchChanged(Exception):
    """What was cut is not what is read again: events were removed from the store by hand."""


@dataclass(frozen=True)
class Batch:
    number: int
    lake: str
    cursor: Cursor
    events: int
    next: Cursor
    settled: bool


async def newest(connection: Connection) -> Batch | None:
    found = await connection.execute(
        "SELECT batch, lake, since::text, until::text, after_position, events,"
        " next_since::text, next_until::text, next_after, settled_at IS NOT NULL"
        " FROM lake_batches ORDER BY batch DESC LIMIT 1"
    )
    row = await found.fetchone()
    if row is None:
        return None
    number, lake, since, until, after, events, next_since, next_until, next_after, settled = row
    return Batch(
        number,
        lake,
        Cursor(since, until, after),
        events,
        Cursor(next_since, next_until, next_after),
        settled,
    )


async def cut(
    connection: Connection,
    mine: Sequence[Checkpoint],
    lake: str,
    lease: timedelta,
    limit: int,
) -> tuple[Sequence[Checkpoint], Batch | None, Sequence[Recorded]]:
    """The next batch, of at most `limit` events, and where the checkpoints are now.

    No batch where there is no event. Raises LostLease.
    """
    cursor = mine[0].cursor
    page = await read_page(connection, cursor, _ALL, limit)
    if not page.events and page.ends_batch:
        if cursor != page.next:
            mine = await checkpoints.move_if_appended(connection, mine, page.next, lease)
        return mine, None, []
    fixed = replace(cursor, until=page.next.until or page.next.since)
    async with connection.transaction():
        answer = await checkpoints.move(connection, mine, cursor, lease)
        mine = checkpoints.moved(answer, mine, cursor)
        before = await newest(connection)
        number = before.number + 1 if before else 1
        await connection.execute(
            "INSERT INTO lake_batches (batch, lake, since, until, after_position, events,"
            " next_since, next_until, next_after) VALUES"
            " (%s, %s, %s::pg_snapshot, %s::pg_snapshot, %s, %s,"
            " %s::pg_snapshot, %s::pg_snapshot, %s)",
            (
                number,
                lake,
                fixed.since,
                fixed.until,
                fixed.after,
                len(page.events),
                page.next.since,
                page.next.until,
                page.next.after,
            ),
        )
    return mine, Batch(number, lake, fixed, len(page.events), page.next, False), page.events


async def read_again(connection: Connection, batch: Batch) -> Sequence[Recorded]:
    """The events of a batch that was cut before. Raises BatchChanged."""
    page = await read_page(connection, batch.cursor, _ALL, batch.events)
    if len(page.events) != batch.events:
        raise BatchChanged(
            f"batch {batch.number} was cut with {batch.events} events, and the store has"
            f" {len(page.events)} of them: see docs/lake.md"
        )
    return page.events


async def settle(
    connection: Connection, mine: Sequence[Checkpoint], batch: Batch, version: int, lease: timedelta
) -> Sequence[Checkpoint]:
    """The batch is in the lake since its `version`: read on behind it. Raises LostLease."""
    async with connection.transaction():
        answer = await checkpoints.move(connection, mine, batch.next, lease)
        mine = checkpoints.moved(answer, mine, batch.next)
        await connection.execute(
            "UPDATE lake_batches SET lake_version = %s, settled_at = clock_timestamp()"
            " WHERE batch = %s",
            (version, batch.number),
        )
        await connection.execute(
            "DELETE FROM lake_batches WHERE batch <= %s", (batch.number - _KEPT,)
        )
    return mine


async def forget(connection: Connection) -> None:
    """Of all batches, that they were cut; what is in the lake stays there."""
    await connection.execute("DELETE FROM lake_batches")
