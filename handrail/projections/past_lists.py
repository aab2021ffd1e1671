"""Lists as of a moment: the rows that had been there, sorted as then, with the values of then.

A page is a walk along sort keys, those of today's rows and those that rows had earlier
(`earlier_keys.py`), under the row-level security of the reader. Of each key that is met the row is
folded from the events that had been committed, and belongs to the page where it then had that key
and met the filters. What a row is now decides nothing but where it is looked for.

So a page costs what it looks at: a bounded number of keys and of events. Where few rows match, it
may be short, or empty, and still have a next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, DateTime, Select, TextClause, select, text, tuple_, union
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.codec import Codec
from handrail.eventstore.store import SHARDS, Recorded
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.eventstore.tokens import Connects
from handrail.paging import After
from handrail.projections.as_of import EVENTS_AT_MOST, AsOfRow, fold_pages, fold_to
from handrail.projections.moments import PATIENCE, Cut, Past, cut_of, past_as_of
from handrail.projections.projection import Projection, id_of

RowT = TypeVar("RowT")

KEYS_AT_MOST: Final = 1_000
"""Sort keys that one page looks at."""
AHEAD: Final = timedelta(minutes=1)
"""How far a time that a process put into an event may be ahead of the database's clock."""
_SHORT: Final = 100
"""Events of a history that is read with others, at once."""
_TOGETHER: Final = 300
"""Events that are read at once."""
_BATCH: Final = 100
"""Keys that are looked at together, at most."""
_LOOK: Final = 0.05  # seconds


class ListBehind(Exception):
    """The read model has not read all that had been committed by the moment: ask again."""


@dataclass(frozen=True)
class PastList(Generic[RowT]):
    """A list of rows of a projection: sorted by `by`, whose last field is the key, and filtered by
    the values of fields. `fixed` are filters whose fields never change in a row, beside those of
    its owners and its key.
    """

    projection: Projection[RowT]
    by: tuple[str, ...]
    where: Mapping[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    newest_first: bool = False

    def has(self, row: RowT) -> bool:
        return all(getattr(row, name) == value for name, value in self.where.items())

    def key(self, row: RowT) -> str:
        return str(getattr(row, self.by[-1]))

    def place(self, row: RowT) -> After:
        return tuple(getattr(row, name) for name in self.by)


@dataclass(frozen=True)
class PastSlice(Generic[RowT]):
    """`next` is where the next page begins; `parked` says of which rows, by their keys, an event
    could not be applied: they are as they were before it.
    """

    rows: Sequence[RowT]
    next: After | None
    parked: Mapping[str, int]


@dataclass(frozen=True)
class Reads:
    """`confined` shows the keys that the reader may see, and `events` all events."""

    confined: Connects
    events: Connects
    codec: Codec
    events_at_most: int = EVENTS_AT_MOST
    turn: asyncio.Lock | None = None


async def list_as_of(
    reads: Reads, wanted: PastList[RowT], moment: datetime, *, after: After | None, limit: int
) -> PastSlice[RowT]:
    """Raises MomentLost, ListBehind, and HistoryTooLong for a row with more events than a page may
    fold: that work is kept.
    """
    past = await past_as_of(reads.events, moment)
    await _until_read(reads.events, wanted.projection.name, past)
    rows: list[RowT] = []
    parked: dict[str, int] = {}
    looked, left = 0, reads.events_at_most
    while True:
        size = min(_BATCH, KEYS_AT_MOST - looked, 2 * (limit - len(rows)) + 1)
        async with reads.confined.connect() as connection:
            found = await connection.execute(_walk(wanted, past, after).limit(size))
            keys: list[After] = [tuple(one) for one in found]
        looked += len(keys)
        batch = await _Batch.of(reads, wanted.projection, keys, past)
        for key in keys:
            if len(rows) == limit or left <= 0:
                return PastSlice(rows, after, parked)
            then = await batch.row(key[-1])
            left -= batch.events_of(key[-1])
            after = key
            if then.row is not None and wanted.place(then.row) == key and wanted.has(then.row):
                rows.append(then.row)
                if then.stopped_by is not None:
                    parked[str(key[-1])] = then.stopped_by.position
        if len(keys) < size:
            return PastSlice(rows, None, parked)
        if looked >= KEYS_AT_MOST:
            return PastSlice(rows, after, parked)


@dataclass
class _Batch(Generic[RowT]):
    """Rows as of a moment: of short histories the events are read for several rows at once."""

    reads: Reads
    projection: Projection[RowT]
    cuts: Mapping[str, Cut]
    upcoming: list[str]
    known: dict[str, AsOfRow[RowT]] = field(default_factory=dict)

    @classmethod
    async def of(
        cls, reads: Reads, projection: Projection[RowT], keys: Sequence[After], past: Past
    ) -> _Batch[RowT]:
        ids = list(dict.fromkeys(str(key[-1]) for key in keys))
        streams = {id_: projection.streams_of(id_) for id_ in ids}
        async with reads.events.connect() as connection:
            if past.is_kept:
                every = [one for some in streams.values() for one in some]
                whole = await cut_of(connection, every, past)
                cuts = {id_: _part(whole, some) for id_, some in streams.items()}
            else:
                cuts = {id_: await cut_of(connection, some, past) for id_, some in streams.items()}
        return cls(reads, projection, cuts, [one for one in ids if cls._short(cuts[one])])

    @staticmethod
    def _short(cut: Cut) -> bool:
        return cut.versions is not None and 0 < sum(cut.versions.values()) <= _SHORT

    def events_of(self, id_: str) -> int:
        """Where no moments were kept, as many as a few such rows cost."""
        versions = self.cuts[id_].versions
        return 2 * _SHORT if versions is None else sum(versions.values())

    async def row(self, id_: str) -> AsOfRow[RowT]:
        cut = self.cuts[id_]
        if not cut.position or not self.events_of(id_):
            return AsOfRow(None)
        if self._short(cut):
            if id_ not in self.known:
                self.known |= await self._together(self._next(id_))
            return self.known[id_]
        return await fold_to(
            self.reads.events,
            self.projection,
            id_,
            cut,
            self.reads.codec,
            events_at_most=self.reads.events_at_most,
            turn=self.reads.turn,
        )

    def _next(self, id_: str) -> list[str]:
        """It and those behind it, as far as their events are read at once."""
        found, events = [id_], self.events_of(id_)
        for other in self.upcoming[self.upcoming.index(id_) + 1 :]:
            events += self.events_of(other)
            if events > _TOGETHER:
                break
            found.append(other)
        return found

    async def _together(self, ids: Sequence[str]) -> Mapping[str, AsOfRow[RowT]]:
        upto = {name: version for id_ in ids for name, version in _read(self.cuts[id_]).items()}
        asked = {"streams": list(upto), "upto": list(upto.values())}
        async with self.reads.turn or nullcontext():
            async with self.reads.events.connect() as connection:
                found = [Recorded(*one) for one in await connection.execute(_EVENTS, asked)]
            within = [one for one in found if self.cuts[id_of(one.stream)].includes(one)]
            return await fold_pages(self.projection, ids, within, self.reads.codec)


def _read(cut: Cut) -> Mapping[str, int]:
    return {name: version for name, version in (cut.versions or {}).items() if version}


def _part(whole: Cut, streams: Sequence[str]) -> Cut:
    """What of a cut is of these streams."""
    versions = {one: whole.upto(one) for one in streams}
    return Cut(whole.position, versions)


def _walk(wanted: PastList[Any], past: Past, after: After | None) -> Select[Any]:
    """The keys behind `after`, of today's rows and of earlier ones."""
    projection = wanted.projection
    owners = projection.owner.columns() if projection.owner else ()
    tables = [(projection.table, {*owners, *wanted.fixed, projection.key})]
    if projection.begins in wanted.by:
        tables.append((projection.earlier_keys, {*owners, projection.key}))
    walks = []
    for table, stable in tables:
        columns = [table.c[name] for name in wanted.by]
        query = select(*(one.label(name) for one, name in zip(columns, wanted.by, strict=True)))
        query = query.where(
            *(table.c[name] == value for name, value in wanted.where.items() if name in stable),
            *_behind(wanted, columns, past, after),
        )
        sorting = [one.desc() if wanted.newest_first else one for one in columns]
        # Each is cut by itself, so that it is walked along its index.
        walks.append(query.order_by(*sorting).limit(_BATCH).subquery())
    if len(walks) == 1:
        every: Any = walks[0]
    else:
        every = union(*(select(one) for one in walks)).subquery()
    ordered = [every.c[name] for name in wanted.by]
    return select(*ordered).order_by(
        *(one.desc() if wanted.newest_first else one for one in ordered)
    )


def _behind(
    wanted: PastList[Any], columns: Sequence[ColumnElement[Any]], past: Past, after: After | None
) -> Sequence[ColumnElement[bool]]:
    if after is not None:
        here, last = tuple_(*columns), tuple_(*after)
        return [here < last if wanted.newest_first else here > last]
    if wanted.newest_first and isinstance(columns[0].type, DateTime):
        return [columns[0] <= past.moment + AHEAD]
    return []


async def _until_read(database: Connects, projection: str, past: Past) -> None:
    """What no row says yet is on no page, so the read model has to have read it: raises ListBehind
    where it does not in time.
    """
    asked = {
        "projection": projection,
        "snapshot": past.seen_by,
        "nothing": NOTHING_SEEN,
        "shards": SHARDS,
    }
    deadline = monotonic() + PATIENCE
    while True:
        async with database.connect() as connection:
            if await _has_read(connection, asked):
                return
        if monotonic() > deadline:
            raise ListBehind(f"{projection} has not read all that was committed by then")
        await asyncio.sleep(_LOOK)


async def _has_read(connection: AsyncConnection, asked: Mapping[str, Any]) -> bool:
    return bool((await connection.execute(_HAS_READ, asked)).scalar_one())


# What the outbox no longer holds was read by all, but for a rebuild that has only begun. Snapshots
# of an earlier epoch have other numbers: what they see is long read, once the new one has begun.
_HAS_READ: Final[TextClause] = text("""
SELECT count(*) = :shards AND bool_and(
    c.since::text <> :nothing
    AND NOT EXISTS (
        SELECT FROM outbox o
        WHERE o.txid >= pg_snapshot_xmax(c.since)
            AND o.txid < pg_snapshot_xmax(CAST(:snapshot AS pg_snapshot)) AND o.shard = c.shard
            AND pg_visible_in_snapshot(o.txid, CAST(:snapshot AS pg_snapshot)))
    AND NOT EXISTS (
        SELECT FROM outbox o
        WHERE o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(c.since))) AND o.shard = c.shard
            AND pg_visible_in_snapshot(o.txid, CAST(:snapshot AS pg_snapshot))))
FROM checkpoints c WHERE c.projection = :projection
""")
# Each stream by its own index: OFFSET keeps the planner from joining them with all events.
_EVENTS: Final[TextClause] = text("""
SELECT e.position, e.stream, e.version, e.type, e.schema, e.data, e.metadata, e.recorded_at
FROM unnest(CAST(:streams AS text[]), CAST(:upto AS bigint[])) AS s (name, upto)
CROSS JOIN LATERAL (
    SELECT * FROM events e WHERE e.stream = s.name AND e.version <= s.upto OFFSET 0
) e
ORDER BY e.position
""")
