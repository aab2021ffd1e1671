"""What the lake has of events that the store has lost, and how it is taken back to before them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from handrail.eventstore.pool import Connection
from handrail.lake import batches
from handrail.restore.boundary import Boundary

MOST: Final = 10_000
"""Events that are named."""
_MARGIN: Final = timedelta(minutes=10)


@dataclass
class InTheLake:
    """`batch` is the newest in the lake, `known` the newest of which the store knows. `lost` are
    the ids of events that the store does not have at their positions.
    """

    batch: int = 0
    known: int = 0
    lost: list[str] = field(default_factory=list)

    @property
    def is_ahead(self) -> bool:
        return self.batch > self.known or bool(self.lost)


class CannotBeTakenBack(Exception):
    """The lake has to be exported anew. Says why."""


def is_there(folder: Path) -> bool:
    return (folder / "events" / "_delta_log").is_dir()


async def look(connection: Connection, folder: Path, boundary: Boundary) -> InTheLake:
    """Needs the extra `lake`."""
    newest = await batches.newest(connection)
    batch, rows = await asyncio.to_thread(_of_the_lake, folder, boundary)
    found = await connection.execute(
        "SELECT id FROM unnest(%s::bigint[], %s::text[]) WITH ORDINALITY AS l (position, id, place)"
        " WHERE NOT EXISTS (SELECT FROM events e WHERE e.position = l.position"
        "  AND e.stream || '/' || e.version = l.id) ORDER BY place",
        ([position for position, _ in rows], [id_ for _, id_ in rows]),
    )
    lost = [id_ for (id_,) in await found.fetchall()]
    return InTheLake(batch, newest.number if newest else 0, lost)


def _of_the_lake(folder: Path, boundary: Boundary) -> tuple[int, Sequence[tuple[int, str]]]:
    from deltalake import DeltaTable  # noqa: PLC0415  # it needs the extra

    from handrail.lake.plan import EVENTS_ALONE  # noqa: PLC0415
    from handrail.lake.reading import open_lake  # noqa: PLC0415
    from handrail.lake.table import last_batch_in  # noqa: PLC0415

    since = (boundary.at or datetime(2000, 1, 1, tzinfo=UTC)) - _MARGIN
    until = boundary.until or datetime(9999, 1, 1, tzinfo=UTC)
    with open_lake(folder, EVENTS_ALONE) as lake:
        rows = lake.execute(
            'SELECT "position", id FROM events WHERE ("position" > ? OR recorded_at >= ?)'
            ' AND recorded_at < ? ORDER BY "position" LIMIT ?',
            [boundary.position, since, until, MOST],
        ).fetchall()
    last = last_batch_in(DeltaTable(folder / "events"))
    return last, cast("Sequence[tuple[int, str]]", rows)


async def take_back(connection: Connection, folder: Path, epoch: int) -> int:
    """Put the lake back to the last batch that the store knows to be there, inside the transaction
    in which the store is adopted; answers its number. What exists of the batches behind it is
    exported again, under numbers that were never used.

    Raises CannotBeTakenBack where the version of the table is not there any more.
    """
    found = await connection.execute(
        "SELECT batch, lake, lake_version, next_since::text, next_until::text, next_after"
        " FROM lake_batches WHERE settled_at IS NOT NULL ORDER BY batch DESC LIMIT 1"
    )
    row = await found.fetchone()
    if row is None:
        raise CannotBeTakenBack("the store knows of no batch that is in the lake")
    batch, lake, version, *_ = row
    last = await asyncio.to_thread(_put_back, folder, lake, version)
    await connection.execute("DELETE FROM lake_batches WHERE batch > %s", (batch,))
    await connection.execute(
        "INSERT INTO lake_batches (batch, lake, since, until, after_position, events, next_since,"
        " next_until, next_after, lake_version, settled_at, epoch)"
        " SELECT %s, lake, since, until, after_position, 0, next_since, next_until, next_after,"
        " %s, clock_timestamp(), %s FROM lake_batches WHERE batch = %s",
        (last, version, epoch, batch),
    )
    return int(batch)


def _put_back(folder: Path, lake_id: str, version: int) -> int:
    """Answers the newest number that a batch in the lake ever had."""
    from deltalake import DeltaTable  # noqa: PLC0415  # it needs the extra

    from handrail.lake.table import last_batch_in  # noqa: PLC0415

    table: Any = DeltaTable(folder / "events")
    if str(table.metadata().id) != lake_id:
        raise CannotBeTakenBack("the folder holds another lake than the store was exported to")
    last = last_batch_in(table)
    try:
        table.restore(version)
    except Exception as error:
        raise CannotBeTakenBack(f"version {version} of the table is gone: {error}") from error
    return last
