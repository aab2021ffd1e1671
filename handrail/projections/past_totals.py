"""Totals as of a moment: those of the nearest checkpoint, and what lies between it and the moment.

Between the two lie the events that had been committed at the moment and are not in the totals, or
the other way round. The rows that have such events are folded to both, and what they add to the one
less what they add to the other is the difference. So the cost is that of the events since the
nearest kept totals (`kept_totals.py`), and does not grow with the number of rows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.codec import Codec
from handrail.eventstore.store import Recorded
from handrail.eventstore.tokens import Connects
from handrail.projections.as_of import EVENTS_AT_MOST, REST
from handrail.projections.fold import apply, read
from handrail.projections.kept_totals import Base, bases
from handrail.projections.moments import Past, past_as_of
from handrail.projections.projection import Projection, id_of
from handrail.projections.totals import Key, totals

BETWEEN_AT_MOST: Final = 50_000
"""Events between the kept totals and the moment, of all streams, that are looked through."""
_TOGETHER: Final = 300
"""Events that are read and folded at once, but for the history of one row."""


class TotalsNotKept(Exception):
    """Of that moment no totals are near enough, or no moments were kept then."""


@dataclass(frozen=True)
class _Row:
    id: str
    events: int


async def totals_as_of(
    database: Connects,
    projection: Projection[Any],
    moment: datetime,
    codec: Codec,
    *,
    events_at_most: int = EVENTS_AT_MOST,
    turn: asyncio.Lock | None = None,
) -> Mapping[Key, int]:
    """The sums over all rows; in the future those of now. Raises MomentLost and TotalsNotKept."""
    past = await past_as_of(database, moment)
    if not past.is_kept:
        async with database.connect() as connection:
            return await _unkept(connection, projection, past)
    async with database.connect() as connection:
        near = await bases(connection, projection, past.kept.epoch, past.kept.position)
        for base in near:
            rows = await _between(connection, projection, past, base)
            if rows is not None and sum(one.events for one in rows) <= events_at_most:
                break
        else:
            raise TotalsNotKept(f"no sums of {projection.name} were kept near {moment.isoformat()}")
    found = Counter(dict(base.totals))
    for some in _batches(rows):
        async with turn or nullcontext():
            began = perf_counter()
            async with database.connect() as connection:
                events = await _events(connection, projection, some, past, base)
            _add(found, projection, events, codec)
            await asyncio.sleep(REST * (perf_counter() - began))
    return {key: total for key, total in found.items() if total or key in base.totals}


async def _unkept(
    connection: AsyncConnection, projection: Projection[Any], past: Past
) -> Mapping[Key, int]:
    """Without moments: what is settled is refused, but for the time before the first event."""
    if past.moment > past.now:
        return await totals(connection, projection.totals)
    first = (await connection.execute(_FIRST)).scalar_one_or_none()
    if first is None or past.moment < first:
        return {}
    raise TotalsNotKept(f"no moments were kept around {past.moment.isoformat()}")


async def _between(
    connection: AsyncConnection, projection: Projection[Any], past: Past, base: Base
) -> Sequence[_Row] | None:
    """The rows that have events which one of the two sees and the other does not; None where there
    is too much between them.
    """
    low = (await connection.execute(_LOW, _snapshots(past, base))).scalar_one()
    asked = {
        **_snapshots(past, base),
        "low": low,
        "high": max(base.position, past.kept.position),
        "scan": BETWEEN_AT_MOST + 1,
        "types": list(projection.types),
        "categories": list(projection.categories),
    }
    found = (await connection.execute(_BETWEEN, asked)).one()
    if found.scanned > BETWEEN_AT_MOST:
        return None
    ids = sorted({id_of(one) for one in found.streams or ()})
    streams = [one for id_ in ids for one in projection.streams_of(id_)]
    lengths: Counter[str] = Counter()
    for name, version in await connection.execute(_LENGTHS, {"streams": streams}):
        lengths[id_of(name)] += version
    return [_Row(id_, lengths[id_]) for id_ in ids]


def _batches(rows: Sequence[_Row]) -> Sequence[Sequence[str]]:
    found: list[list[str]] = []
    size = _TOGETHER
    for row in rows:
        if size + row.events > _TOGETHER:
            found.append([])
            size = 0
        found[-1].append(row.id)
        size += row.events
    return found


@dataclass(frozen=True)
class _Seen:
    """An event, and which of the two see it."""

    recorded: Recorded
    then: bool
    kept: bool


async def _events(
    connection: AsyncConnection,
    projection: Projection[Any],
    ids: Sequence[str],
    past: Past,
    base: Base,
) -> Sequence[_Seen]:
    streams = [one for id_ in ids for one in projection.streams_of(id_)]
    found = await connection.execute(_EVENTS, {**_snapshots(past, base), "streams": streams})
    return [_Seen(Recorded(*one[:-2]), *one[-2:]) for one in found]


def _add(
    found: Counter[Key], projection: Projection[Any], events: Sequence[_Seen], codec: Codec
) -> None:
    """What the rows added then, less what they add to what was kept."""
    assert projection.adds is not None
    for sign, which in ((1, "then"), (-1, "kept")):
        rows: dict[str, Any] = {}
        stopped: set[str] = set()
        for one in events:
            if not getattr(one, which) or not projection.reads(one.recorded):
                continue
            event = read(one.recorded, codec)
            if event.id in stopped:
                continue
            try:
                rows[event.id] = apply(projection, rows.get(event.id), event)
            except Exception:  # noqa: BLE001  # the read model parks whatever it is, and stands still
                stopped.add(event.id)
        for row in rows.values():
            for key, amount in projection.adds(row).items() if row is not None else ():
                found[key] += sign * amount


def _snapshots(past: Past, base: Base) -> dict[str, Any]:
    return {
        "at": past.kept.at,
        "then": past.kept.snapshot,
        "floor": past.kept.floor,
        "ceiling": past.kept.ceiling,
        "epoch": past.kept.epoch,
        "since": list(base.since),
        "until": list(base.until),
        "after": list(base.after),
    }


_FIRST: Final[TextClause] = text("SELECT recorded_at FROM events ORDER BY position LIMIT 1")

# What one of the two does not see has a number that is no lower than the lowest xmin of them. At a
# moment whose xmax is no higher, such a transaction may have been under way, since xmax follows the
# last one that had ended; but not at the moment before that, whose own transaction ended meanwhile
# with a lower number. So its events have later positions than the newest of that moment.
_LOW: Final[TextClause] = text("""
WITH oldest AS (
    SELECT min(pg_snapshot_xmin(CAST(s AS pg_snapshot))::text::bigint) AS xmin
    FROM unnest(array_append(CAST(:since AS text[]), CAST(:then AS text))) AS s
)
SELECT coalesce((
    SELECT m.position FROM moments m, oldest
    WHERE m.at <= :at AND m.epoch = :epoch
        AND pg_snapshot_xmax(m.snapshot)::text::bigint <= oldest.xmin
    ORDER BY m.at DESC OFFSET 1 LIMIT 1), :floor)
""")

_KEPT: Final = """
    pg_visible_in_snapshot(e.txid,
        CAST((CAST(:since AS text[]))[e.shard + 1] AS pg_snapshot))
    OR (CAST(:until AS text[]))[e.shard + 1] IS NOT NULL
        AND e.position <= (CAST(:after AS bigint[]))[e.shard + 1]
        AND pg_visible_in_snapshot(e.txid,
            CAST((CAST(:until AS text[]))[e.shard + 1] AS pg_snapshot))
"""
_SIGHTS: Final = f"""
    (e.position <= :floor OR (e.position <= :ceiling
        AND pg_visible_in_snapshot(e.txid, CAST(:then AS pg_snapshot)))) AS is_then,
    (e.position <= :floor OR (e.position <= :ceiling AND ({_KEPT}))) AS is_kept
"""
_BETWEEN: Final[TextClause] = text(f"""
WITH span AS MATERIALIZED (
    SELECT e.position, e.stream, e.type, {_SIGHTS} FROM events e
    WHERE e.position > :low AND e.position <= :high ORDER BY e.position LIMIT :scan
)
SELECT (SELECT count(*) FROM span) AS scanned, (
    SELECT array_agg(DISTINCT stream) FROM span
    WHERE is_then <> is_kept AND type = ANY (CAST(:types AS text[]))
        AND split_part(stream, '-', 1) = ANY (CAST(:categories AS text[]))) AS streams
""")
_LENGTHS: Final[TextClause] = text(
    "SELECT name, version FROM streams WHERE name = ANY (CAST(:streams AS text[]))"
)
# Each stream by its own index: OFFSET keeps the planner from joining them with all events.
_EVENTS: Final[TextClause] = text(f"""
SELECT e.position, e.stream, e.version, e.type, e.schema, e.data, e.metadata, e.recorded_at,
    {_SIGHTS}
FROM unnest(CAST(:streams AS text[])) AS s (name)
CROSS JOIN LATERAL (SELECT * FROM events e WHERE e.stream = s.name OFFSET 0) e
ORDER BY e.position
""")
