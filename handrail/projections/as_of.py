"""Point-in-time reads: a row as of a moment, folded from the events that were committed by then.

A history may be long, so it is read in pages, and the event loop serves others between them: it
rests for longer than it folds. One read folds a bounded number of events. A longer history leaves
snapshots behind (`row_snapshots.py`), so that the next read goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import Final, Generic, TypeVar

import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.codec import Codec
from handrail.eventstore.parked_events import Parked
from handrail.eventstore.store import Recorded
from handrail.eventstore.tokens import Connects
from handrail.projections import row_snapshots
from handrail.projections.fold import apply, cause_of, effective_by, read
from handrail.projections.moments import Cut, cut_as_of
from handrail.projections.projection import Projection, id_of
from handrail.projections.read_model import Unstorable
from handrail.projections.row_snapshots import RowSnapshot

RowT = TypeVar("RowT")

EVENTS_AT_MOST: Final = 20_000
"""Events that one read folds: about a second of work."""
_PAGE: Final = 100
_SLICE: Final = 25
"""Events folded before others have their turn: about a millisecond."""
REST: Final = 2
"""A rest is so many times as long as the work before it."""
_KEEP_EVERY: Final = 5_000
"""Events from one snapshot of a row to the next."""
_log = structlog.get_logger(__name__)


class HistoryTooLong(Exception):
    """The row has more events than one read may fold.

    `folded` of about `events` are: what was folded is kept, and the next read goes on from there.
    """

    def __init__(self, projection: str, id_: str, folded: int, events: int) -> None:
        super().__init__(f"{projection} {id_}: folded {folded} of about {events} events")
        self.folded = folded
        self.events = events


@dataclass(frozen=True)
class AsOfRow(Generic[RowT]):
    """A row as of a moment. `stopped_by` is the event at which the read model, too, stands still:
    then the row is the one before it, and later events are not in it.
    """

    row: RowT | None
    stopped_by: Parked | None = None


@dataclass(frozen=True)
class _Fold(Generic[RowT]):
    """What has been folded so far; `position` is that of the last event."""

    row: RowT | None
    versions: Mapping[str, int]
    position: int = 0
    stopped_by: Parked | None = None


async def as_of(
    connection: AsyncConnection,
    projection: Projection[RowT],
    id_: str,
    moment: datetime,
    codec: Codec,
    *,
    events_at_most: int = EVENTS_AT_MOST,
) -> RowT | None:
    """None where the row did not exist yet. Where the read model parked an event by then, the row
    is the one before it. Raises HistoryTooLong.
    """
    found = await fold_as_of(
        _Lent(connection), projection, id_, moment, codec, events_at_most=events_at_most, keep=False
    )
    return found.row


async def fold_as_of(
    database: Connects,
    projection: Projection[RowT],
    id_: str,
    moment: datetime | None,
    codec: Codec,
    *,
    true_by: datetime | None = None,
    events_at_most: int = EVENTS_AT_MOST,
    keep: bool = True,
    turn: asyncio.Lock | None = None,
) -> AsOfRow[RowT]:
    """As `as_of`, or without a moment as of now, and says whether an event stopped the row. No
    connection is held while it folds. Those with the same `turn` fold a page each in turn, and
    together no faster than one.

    `true_by` is the other axis: of what was known, what had become true by then. Late facts say
    when that was (`Event.effective`), others became true when they were recorded.

    What had been committed by the moment, `moments.py` says. Where no moments were kept, the
    history is cut at one position, so that no stream has a hole: at the last event that was
    recorded by then. Where the database's clock was put back, events before that one count, though
    they say that they were recorded later. Raises MomentLost and HistoryTooLong, and with `keep`
    leaves snapshots behind.
    """
    streams = projection.streams_of(id_)
    if moment is not None:
        cut = await cut_as_of(database, streams, moment)
    else:
        async with database.connect() as connection:
            cut = Cut(await newest_of(connection, streams))
    return await fold_to(
        database,
        projection,
        id_,
        cut,
        codec,
        true_by=true_by,
        events_at_most=events_at_most,
        keep=keep,
        turn=turn,
    )


async def fold_to(
    database: Connects,
    projection: Projection[RowT],
    id_: str,
    cut: Cut,
    codec: Codec,
    *,
    true_by: datetime | None = None,
    events_at_most: int = EVENTS_AT_MOST,
    keep: bool = True,
    turn: asyncio.Lock | None = None,
) -> AsOfRow[RowT]:
    """The row of the events of a cut, or of those that had become true by a time: snapshots, which
    are of all events, are then neither used nor kept. Raises HistoryTooLong, and with `keep` leaves
    snapshots behind.
    """
    streams = projection.streams_of(id_)
    if not cut.position:
        return AsOfRow(None)
    begun: RowSnapshot[RowT] = RowSnapshot()
    if true_by is None:
        async with database.connect() as connection:
            begun = await row_snapshots.newest(connection, projection, id_, cut, codec=codec)
    keep = keep and true_by is None
    fold: _Fold[RowT] = _Fold(begun.row, dict.fromkeys(streams, 0) | dict(begun.versions))
    left, since_kept = events_at_most, 0
    while True:
        async with turn or nullcontext():
            async with database.connect() as connection:
                page = await next_events(connection, fold.versions, cut)
            await asyncio.sleep(0)
            within = [one for one in page if cut.includes(one)]
            due = within[:left]
            fold = await _folded(projection, fold, due, codec, true_by)
        if fold.stopped_by is not None or len(due) == len(within) < _PAGE:
            return AsOfRow(fold.row, fold.stopped_by)
        left, since_kept = left - len(due), since_kept + len(due)
        exhausted = len(due) < len(within)
        if keep and since_kept and (exhausted or since_kept >= _KEEP_EVERY):
            await _keep(database, projection, id_, fold, codec)
            since_kept = 0
        if exhausted:
            async with database.connect() as connection:
                events = await length_of(connection, streams)
            raise HistoryTooLong(projection.name, id_, sum(fold.versions.values()), events)


async def _folded(
    projection: Projection[RowT],
    fold: _Fold[RowT],
    events: Sequence[Recorded],
    codec: Codec,
    true_by: datetime | None = None,
) -> _Fold[RowT]:
    for start in range(0, len(events), _SLICE):
        began = perf_counter()
        fold = _slice(projection, fold, events[start : start + _SLICE], codec, true_by)
        if fold.stopped_by is not None:
            break
        await asyncio.sleep(REST * (perf_counter() - began))
    return fold


def _slice(
    projection: Projection[RowT],
    fold: _Fold[RowT],
    events: Sequence[Recorded],
    codec: Codec,
    by: datetime | None,
) -> _Fold[RowT]:
    row, versions, position = fold.row, dict(fold.versions), fold.position
    for recorded in events:
        if projection.reads(recorded):
            event = read(recorded, codec)
            if by is not None:
                event = effective_by(event, by)
            try:
                row = apply(projection, row, event)
            except Exception as error:  # noqa: BLE001  # the read model parks whatever it is
                return replace(fold, row=row, stopped_by=event.parked(cause_of(error)))
        versions[recorded.stream], position = recorded.version, recorded.position
    return _Fold(row, versions, position)


async def fold_pages(
    projection: Projection[RowT], ids: Sequence[str], events: Sequence[Recorded], codec: Codec
) -> Mapping[str, AsOfRow[RowT]]:
    """The rows of some ids, from all their events by their positions."""
    own: dict[str, list[Recorded]] = {id_: [] for id_ in ids}
    for one in events:
        own[id_of(one.stream)].append(one)
    rows = {}
    for id_, some in own.items():
        fold = await _folded(projection, _Fold(None, {}), some, codec)
        rows[id_] = AsOfRow(fold.row, fold.stopped_by)
    return rows


async def _keep(
    database: Connects,
    projection: Projection[RowT],
    id_: str,
    fold: _Fold[RowT],
    codec: Codec,
) -> None:
    """A snapshot that cannot be kept costs time, and no answer."""
    snapshot = RowSnapshot(fold.row, fold.versions)
    try:
        async with database.connect() as connection:
            await row_snapshots.keep(
                connection, projection, id_, fold.position, snapshot, codec=codec
            )
    except (DBAPIError, Unstorable) as error:
        _log.warning(
            "row snapshot not kept", projection=projection.name, id=id_, error=cause_of(error)
        )


class _Lent:
    """A connection of the caller's, for each page."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        yield self._connection


async def next_events(
    connection: AsyncConnection, versions: Mapping[str, int], cut: Cut
) -> Sequence[Recorded]:
    """The next events of all the streams up to the versions of the cut, by their positions."""
    asked = {
        "streams": list(versions),
        "after": list(versions.values()),
        "upto": [cut.upto(one) for one in versions],
        "page": _PAGE,
    }
    return [Recorded(*one) for one in await connection.execute(_NEXT, asked)]


async def newest_of(connection: AsyncConnection, streams: Sequence[str]) -> int:
    """The position of the newest event of some streams; 0 where they have none."""
    found = await connection.execute(_NEWEST, {"streams": list(streams)})
    return int(found.scalar_one() or 0)


async def length_of(connection: AsyncConnection, streams: Sequence[str]) -> int:
    found = await connection.execute(
        text(
            "SELECT sum(version)::bigint FROM streams WHERE name = ANY (CAST(:streams AS text[]))"
        ),
        {"streams": list(streams)},
    )
    return int(found.scalar_one() or 0)


_NEWEST: Final[TextClause] = text("""
SELECT max(e.position) FROM streams s JOIN events e ON e.stream = s.name AND e.version = s.version
WHERE s.name = ANY (CAST(:streams AS text[]))
""")

# Each stream gives its next events by its own index, so nothing behind the page is read.
_NEXT: Final[TextClause] = text("""
SELECT e.position, e.stream, e.version, e.type, e.schema, e.data, e.metadata, e.recorded_at
FROM unnest(CAST(:streams AS text[]), CAST(:after AS bigint[]), CAST(:upto AS bigint[]))
    AS s (name, after, upto)
CROSS JOIN LATERAL (
    SELECT * FROM events e
    WHERE e.stream = s.name AND e.version > s.after AND e.version <= s.upto
    ORDER BY e.version LIMIT :page
) e
ORDER BY e.position LIMIT :page
""")
