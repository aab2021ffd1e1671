"""Point-in-time reads for the routes: a bounded fold for each, and one page of all at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from handrail.eventstore.codec import Codec
from handrail.http.admission import Turns
from handrail.http.database import Database
from handrail.http.problems import Problem
from handrail.paging import After
from handrail.projections.as_of import EVENTS_AT_MOST, AsOfRow, HistoryTooLong, fold_as_of
from handrail.projections.blame import Blame, Changes, blame_of, changes_of
from handrail.projections.moments import ClockBehind, MomentLost
from handrail.projections.own_rows import own_values
from handrail.projections.past_lists import ListBehind, PastList, PastSlice, Reads, list_as_of
from handrail.projections.past_totals import TotalsNotKept, totals_as_of
from handrail.projections.projection import Projection
from handrail.projections.totals import Key

RowT = TypeVar("RowT")

_AT_ONCE: Final = 16
"""Histories that are being folded; each holds one page of events in memory."""


class PointInTime:
    """`events_at_most` bounds what one request folds."""

    def __init__(
        self, database: Database, codec: Codec, events_at_most: int = EVENTS_AT_MOST
    ) -> None:
        self._database = database
        self._codec = codec
        self._events_at_most = events_at_most
        self._turns = Turns(_AT_ONCE)
        self._turn = asyncio.Lock()

    async def row(
        self,
        projection: Projection[RowT],
        id_: str,
        moment: datetime | None,
        true_by: datetime | None = None,
    ) -> AsOfRow[RowT]:
        """As of a moment, or of now; with `true_by` what had become true by then.

        Raises Problem.
        """
        async with self._bounded():
            return await fold_as_of(
                self._database,
                projection,
                id_,
                moment,
                self._codec,
                true_by=true_by,
                events_at_most=self._events_at_most,
                turn=self._turn,
            )

    async def rows(
        self,
        confined: Database,
        wanted: PastList[RowT],
        moment: datetime,
        *,
        after: After | None,
        limit: int,
    ) -> PastSlice[RowT]:
        """A page of a list, of rows that `confined` shows. Raises Problem."""
        own = own_values(confined.visible, wanted.projection.owner)
        if own is None or any(wanted.where.get(name, own[name]) != own[name] for name in own):
            return PastSlice([], None, {})
        wanted = replace(wanted, where={**wanted.where, **own})
        reads = Reads(confined, self._database, self._codec, self._events_at_most, self._turn)
        async with self._bounded():
            return await list_as_of(reads, wanted, moment, after=after, limit=limit)

    async def totals(self, projection: Projection[Any], moment: datetime) -> Mapping[Key, int]:
        """The sums over all rows of a read model. Raises Problem."""
        async with self._bounded():
            return await totals_as_of(
                self._database,
                projection,
                moment,
                self._codec,
                events_at_most=self._events_at_most,
                turn=self._turn,
            )

    async def blame(
        self, projection: Projection[RowT], id_: str, moment: datetime | None
    ) -> Blame[RowT]:
        """Which event last set each field, as of a moment or of now. Raises Problem."""
        async with self._bounded():
            return await blame_of(
                self._database,
                projection,
                id_,
                self._codec,
                until=moment,
                events_at_most=self._events_at_most,
                turn=self._turn,
            )

    async def changes(
        self,
        projection: Projection[Any],
        id_: str,
        *,
        since: datetime | None,
        until: datetime | None,
        after: int,
        limit: int,
    ) -> Changes:
        """What changed between two moments. Raises Problem."""
        async with self._bounded():
            return await changes_of(
                self._database,
                projection,
                id_,
                self._codec,
                since=since,
                until=until,
                after=after,
                limit=limit,
                events_at_most=self._events_at_most,
                turn=self._turn,
            )

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        async with self._turns.taken():
            try:
                yield
            except HistoryTooLong as long:
                said = f"folded {long.folded} of about {long.events} events: ask again"
                raise Problem("history-too-long", said, retry_after=1) from None
            except ListBehind as behind:
                raise Problem("read-model-behind", str(behind), retry_after=1) from None
            except TotalsNotKept as unkept:
                raise Problem("sums-not-kept", str(unkept)) from None
            except MomentLost as lost:
                raise Problem("moment-lost", str(lost)) from None
            except ClockBehind as behind:
                raise Problem("moment-said-twice", str(behind)) from None
