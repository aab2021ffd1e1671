"""One page of events onto all read models of a group of checkpoints: one transaction.

However many events a page has, and for however many read models, the statements are the same: move
the checkpoints, read the rows, write the rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any, Final

import psycopg
import structlog
from psycopg import errors

from handrail.eventstore import checkpoints, parked_events
from handrail.eventstore.checkpoints import Checkpoint, LostLease
from handrail.eventstore.codec import Codec
from handrail.eventstore.feed import Cursor, Page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import shard_of
from handrail.eventstore.subscriptions.page_handler import Handled
from handrail.projections import row_store
from handrail.projections.earlier_keys import replaced
from handrail.projections.fold import BEHIND, Folded, Read, apply, cause_of, fold, ids_of, read
from handrail.projections.projection import category_of
from handrail.projections.read_model import Change, ReadModel, Unstorable

_log = structlog.get_logger(__name__)

DATA_AT_FAULT: Final = (
    errors.DataError,
    errors.IntegrityError,
    errors.ProgramLimitExceeded,
    Unstorable,
)
"""What a row can do to a healthy database. Everything else is not the event's fault."""


@dataclass(frozen=True)
class Work:
    """What a page means for one read model."""

    model: ReadModel[Any]
    events: Sequence[Read]


def partition(
    models: Mapping[str, ReadModel[Any]], group: Sequence[Checkpoint], page: Page, codec: Codec
) -> Mapping[str, Work]:
    """Which read model of the group handles which events; decodes only those somebody handles."""
    shards: dict[str, set[int]] = defaultdict(set)
    for one in group:
        shards[one.projection].add(one.shard)
    mine: dict[str, list[Read]] = {name: [] for name in sorted(shards)}
    interested: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in mine:
        projection = models[name].projection
        for kind in product(projection.categories, projection.types):
            interested[kind].append(name)
    for recorded in page.events:
        if not (names := interested.get((category_of(recorded.stream), recorded.type))):
            continue
        shard = shard_of(recorded.stream)
        event = None
        for name in names:
            if shard in shards[name]:
                event = event or read(recorded, codec)
                mine[name].append(event)
    return {name: Work(models[name], events) for name, events in mine.items()}


async def apply_page(
    connection: Connection,
    group: Sequence[Checkpoint],
    to: Cursor,
    work: Mapping[str, Work],
    lease: timedelta,
) -> Handled:
    """Apply the page and move the checkpoints to `to`, both or nothing.

    Raises LostLease, or the error of a connection that is gone. Where a read model fails, the
    others go on without it.
    """
    try:
        return Handled(moved=list(await _together(connection, group, to, work, lease)))
    except Exception as error:  # noqa: BLE001  # whatever it is, not all read models have to wait
        _raise_if_general(connection, error)
        _log.info("page is applied by projection", error=cause_of(error))
    return await _apart(connection, group, to, work, lease)


async def _apart(
    connection: Connection,
    group: Sequence[Checkpoint],
    to: Cursor,
    work: Mapping[str, Work],
    lease: timedelta,
) -> Handled:
    handled = Handled()
    for name in sorted({one.projection for one in group}):
        own = [one for one in group if one.projection == name]
        try:
            try:
                handled.moved += await _together(connection, own, to, {name: work[name]}, lease)
            except DATA_AT_FAULT:
                handled.moved += await _one_by_one(connection, own, to, work[name], lease)
        except Exception as error:  # noqa: BLE001  # the same
            _raise_if_general(connection, error)
            handled.failed[name] = error
    return handled


async def _together(
    connection: Connection,
    group: Sequence[Checkpoint],
    to: Cursor,
    work: Mapping[str, Work],
    lease: timedelta,
) -> Sequence[Checkpoint]:
    if not any(one.events for one in work.values()):
        return checkpoints.moved(await checkpoints.move(connection, group, to, lease), group, to)
    wanted = {one.model: ids_of(one.events) for one in work.values()}
    async with connection.pipeline() as pipeline, connection.transaction():
        # First of all: from here on nobody else can write for these checkpoints.
        answer = await checkpoints.move(connection, group, to, lease)
        asked = await row_store.ask(connection, wanted)
        await pipeline.sync()
        now = checkpoints.moved(answer, group, to)
        there = await row_store.found(asked, list(wanted))
        changes, parked = {}, []
        for name, one in work.items():
            before = there.rows[name]
            folded = fold(one.model.projection, before, one.events, there.waiting[name])
            changes[one.model] = Change(folded.rows, before, folded.replaced)
            parked += [(name, event) for event in folded.parked]
        if any(change.rows for change in changes.values()):
            await row_store.keep(connection, changes)
        if parked:
            await parked_events.park(connection, parked)
    _report(parked)
    return now


async def _one_by_one(
    connection: Connection,
    group: Sequence[Checkpoint],
    to: Cursor,
    work: Work,
    lease: timedelta,
) -> Sequence[Checkpoint]:
    """Some row cannot be stored: write event by event, to find the one that makes it so."""
    name = work.model.name
    async with connection.transaction():
        now = checkpoints.moved(await checkpoints.move(connection, group, to, lease), group, to)
        asked = await row_store.ask(connection, {work.model: ids_of(work.events)})
        there = await row_store.found(asked, [work.model])
        folded = await store_each(connection, work, there.rows[name], there.waiting[name])
        parked = [(name, one) for one in folded.parked]
        if parked:
            await parked_events.park(connection, parked)
    _report(parked)
    return now


async def store_each(
    connection: Connection, work: Work, rows: Mapping[str, Any], waiting: set[str]
) -> Folded:
    """Fold and write event by event, each in a savepoint of its own."""
    done = Folded()
    for event in work.events:
        if event.id in waiting:
            done.parked.append(event.parked(BEHIND))
            continue
        before = done.rows.get(event.id, rows.get(event.id))
        try:
            after = apply(work.model.projection, before, event)
            if after is not before:
                async with connection.transaction():
                    was = {} if before is None else {event.id: before}
                    moved = replaced(before, after, work.model.projection.begins_with)
                    change = Change({event.id: after}, was, [before] if moved else [])
                    await row_store.keep(connection, {work.model: change})
                done.rows[event.id] = after
        except Exception as error:
            if isinstance(error, psycopg.Error) and not isinstance(error, DATA_AT_FAULT):
                raise
            done.parked.append(event.parked(cause_of(error)))
            waiting.add(event.id)
    return done


def _raise_if_general(connection: Connection, error: Exception) -> None:
    if isinstance(error, LostLease) or connection.closed:
        raise error


def _report(parked: Sequence[tuple[str, Any]]) -> None:
    for name, event in parked:
        if event.cause != BEHIND:
            _log.error(
                "event parked",
                projection=name,
                stream=event.stream,
                position=event.position,
                cause=event.cause,
            )
