"""Blame: which event last set each field of a row, and every change of its fields between moments.

A pure fold of the row's events, as in a point-in-time read (`as_of.py`): nothing is stored but the
row snapshots that such reads keep. A read folds a bounded number of events. Of a longer history the
changes come in pages, and what was set before the part that blame folds is said to be older.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import Any, Final, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.codec import Codec
from handrail.eventstore.parked_events import Parked
from handrail.eventstore.tokens import Connects
from handrail.kernel import effective_at
from handrail.projections import row_snapshots
from handrail.projections.as_of import (
    EVENTS_AT_MOST,
    HistoryTooLong,
    length_of,
    newest_of,
    next_events,
)
from handrail.projections.fold import Read, Undecodable, apply, cause_of, read
from handrail.projections.moments import NOTHING, Cut, cut_as_of
from handrail.projections.projection import Projection
from handrail.projections.row_snapshots import RowSnapshot

RowT = TypeVar("RowT")

_REST: Final = 2
"""A rest is so many times as long as the work before it."""
_SLICE: Final = 25
"""Events folded before others have their turn."""


@dataclass(frozen=True)
class SetBy:
    """The event that set a field: where it is stored, and who caused it by which step, and why."""

    stream: str
    version: int
    position: int
    type: str
    recorded_at: datetime
    actor: str
    correlation: str
    causation: str
    reason: str
    """What the event says as its reason, as it is stored; empty where it says none."""
    effective_at: datetime | None = None
    """When it became true, where the event says so."""

    @classmethod
    def of(cls, event: Read) -> SetBy:
        recorded, said = event.recorded, event.recorded.metadata
        parts = () if isinstance(event.happened, Undecodable) else event.happened
        times = [at for one in parts if (at := effective_at(one.event)) is not None]
        reason = recorded.data.get("reason", "")
        return cls(
            stream=recorded.stream,
            version=recorded.version,
            position=recorded.position,
            type=recorded.type,
            recorded_at=recorded.recorded_at,
            actor=str(said.get("actor", "")),
            correlation=str(said.get("correlation", "")),
            causation=str(said.get("causation", "")),
            reason=reason if isinstance(reason, str) else "",
            effective_at=min(times, default=None),
        )


@dataclass(frozen=True)
class FieldChange:
    """`before` is None, too, where the row was not there yet."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class RowChange:
    """What one event changed; the first one of a row sets all its fields."""

    by: SetBy
    fields: Sequence[FieldChange]


@dataclass(frozen=True)
class Changes:
    """Oldest first. `next` is the position after which the next page begins, or None; it may be
    there though `changes` has fewer than were asked for, or none. `stopped_by` is the event at
    which the row stands still.
    """

    changes: Sequence[RowChange]
    next: int | None = None
    stopped_by: Parked | None = None


@dataclass(frozen=True)
class Blame(Generic[RowT]):
    """A row, and for each of its fields the event that last set it. `set_by` lacks the fields that
    were set before the first of the events that were folded, which are all unless the history is
    longer than one read folds.
    """

    row: RowT | None
    set_by: Mapping[str, SetBy] = field(default_factory=dict)
    complete: bool = True
    stopped_by: Parked | None = None


@dataclass
class _Fold(Generic[RowT]):
    """What has been folded so far."""

    row: RowT | None
    versions: dict[str, int]
    position: int = 0
    folded: int = 0
    stopped_by: Parked | None = None

    @classmethod
    def of(cls, projection: Projection[RowT], id_: str, begun: RowSnapshot[RowT]) -> _Fold[RowT]:
        return cls(begun.row, dict.fromkeys(_streams(projection, id_), 0) | dict(begun.versions))


@dataclass(frozen=True)
class _Bounds:
    """A fold goes as far as the position `cut`, and folds so many events at most."""

    cut: Cut
    events_at_most: int
    turn: asyncio.Lock | None


async def blame_of(
    database: Connects,
    projection: Projection[RowT],
    id_: str,
    codec: Codec,
    *,
    until: datetime | None = None,
    events_at_most: int = EVENTS_AT_MOST,
    turn: asyncio.Lock | None = None,
) -> Blame[RowT]:
    """As of a moment, or of now. Raises HistoryTooLong: ask again, as with point-in-time reads."""
    cut = await _cut(database, projection, id_, until)
    if not cut.position:
        return Blame(None)
    async with database.connect() as connection:
        events = await length_of(connection, _streams(projection, id_))
        begun = await _begin(connection, projection, id_, cut, events, events_at_most, codec)
    fold = _Fold.of(projection, id_, begun)
    set_by: dict[str, SetBy] = {}
    async for event, before in _folded(
        database, projection, fold, _Bounds(cut, events_at_most, turn), codec
    ):
        by = SetBy.of(event)
        set_by.update({one.field: by for one in _changes(projection, before, fold.row)})
    if fold.stopped_by is None and fold.folded >= events_at_most and fold.position < cut.position:
        await _keep(database, projection, id_, fold, codec)
        raise HistoryTooLong(projection.name, id_, sum(fold.versions.values()), events)
    complete = not begun.versions or len(set_by) == len(projection.columns)
    return Blame(fold.row, set_by, complete, fold.stopped_by)


async def changes_of(
    database: Connects,
    projection: Projection[RowT],
    id_: str,
    codec: Codec,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    after: int = 0,
    limit: int = 50,
    events_at_most: int = EVENTS_AT_MOST,
    turn: asyncio.Lock | None = None,
) -> Changes:
    """What changed between two moments: between the row as of the one, and as of the other. At most
    `limit` events that changed something, behind the position `after`.

    Raises HistoryTooLong where the row cannot be folded as far as the beginning in one read: what
    was folded is kept, so ask again.
    """
    low = NOTHING if since is None else await _cut(database, projection, id_, since)
    high = await _cut(database, projection, id_, until)
    if high.position <= after:
        return Changes([])
    async with database.connect() as connection:
        # The page before has left one; else nothing may be in it that is to be reported.
        begun = await row_snapshots.newest(
            connection,
            projection,
            id_,
            replace(high, position=after) if after else low,
            codec=codec,
        )
    fold = _Fold.of(projection, id_, begun)
    found: list[RowChange] = []
    async for event, before in _folded(
        database, projection, fold, _Bounds(high, events_at_most, turn), codec
    ):
        recorded = event.recorded
        is_shown = recorded.position > after and not low.includes(recorded)
        changed = _changes(projection, before, fold.row) if is_shown else []
        if changed:
            found.append(RowChange(SetBy.of(event), changed))
        if len(found) == limit:
            break
    if fold.stopped_by is not None:
        return Changes(found, None, fold.stopped_by)
    is_cut_off = len(found) == limit or fold.folded >= events_at_most
    if not is_cut_off or fold.position >= high.position:
        return Changes(found)
    await _keep(database, projection, id_, fold, codec)
    if fold.position <= after:
        async with database.connect() as connection:
            events = await length_of(connection, _streams(projection, id_))
        raise HistoryTooLong(projection.name, id_, sum(fold.versions.values()), events)
    return Changes(found, fold.position)


async def _cut(
    database: Connects, projection: Projection[Any], id_: str, moment: datetime | None
) -> Cut:
    """As of the moment, or of now."""
    streams = _streams(projection, id_)
    if moment is not None:
        return await cut_as_of(database, streams, moment)
    async with database.connect() as connection:
        return Cut(await newest_of(connection, streams))


async def _begin(  # noqa: PLR0917  # all of one read
    connection: AsyncConnection,
    projection: Projection[RowT],
    id_: str,
    cut: Cut,
    events: int,
    events_at_most: int,
    codec: Codec,
) -> RowSnapshot[RowT]:
    """The beginning; of a long history the oldest snapshot from which one read gets to its end,
    or the newest one.
    """
    if events <= events_at_most:
        return RowSnapshot()
    found = await row_snapshots.latest(connection, projection, id_, cut, codec=codec)
    near = [one for one in found if events - sum(one.versions.values()) <= events_at_most]
    return near[-1] if near else next(iter(found), RowSnapshot())


async def _keep(
    database: Connects, projection: Projection[RowT], id_: str, fold: _Fold[RowT], codec: Codec
) -> None:
    async with database.connect() as connection:
        snapshot = RowSnapshot(fold.row, fold.versions)
        await row_snapshots.keep(connection, projection, id_, fold.position, snapshot, codec=codec)


async def _folded(
    database: Connects,
    projection: Projection[RowT],
    fold: _Fold[RowT],
    bounds: _Bounds,
    codec: Codec,
) -> AsyncIterator[tuple[Read, RowT | None]]:
    """Each event that the read model reads, with the row before it; the fold has the one after."""
    while fold.folded < bounds.events_at_most:
        async with bounds.turn or nullcontext():
            async with database.connect() as connection:
                page = await next_events(connection, fold.versions, bounds.cut)
            due = [one for one in page if bounds.cut.includes(one)]
            began = perf_counter()
            for nth, recorded in enumerate(due[: bounds.events_at_most - fold.folded], start=1):
                before = fold.row
                event = read(recorded, codec) if projection.reads(recorded) else None
                if event is not None:
                    try:
                        fold.row = apply(projection, before, event)
                    except Exception as error:  # noqa: BLE001  # the read model parks whatever it is
                        fold.stopped_by = event.parked(cause_of(error))
                        return
                fold.versions[recorded.stream] = recorded.version
                fold.position, fold.folded = recorded.position, fold.folded + 1
                if event is not None and fold.row is not before:
                    yield event, before
                if nth % _SLICE == 0:
                    await asyncio.sleep(_REST * (perf_counter() - began))
                    began = perf_counter()
        if len(due) < len(page) or not page:
            return


def _changes(
    projection: Projection[RowT], before: RowT | None, after: RowT | None
) -> Sequence[FieldChange]:
    """Of a row that was not there, all fields were set."""
    return [
        FieldChange(name, was, now)
        for name in projection.columns
        if (was := getattr(before, name, None)) != (now := getattr(after, name)) or before is None
    ]


def _streams(projection: Projection[Any], id_: str) -> Sequence[str]:
    return [f"{category}-{id_}" for category in projection.categories]
