"""How many sagas of each type began, ended, were parked and put right, and how long they took.

A row is what one saga has added so far; what everybody asks for is the totals over the rows. A
tally never shrinks, so its totals are counters; the figures in GAUGES say how sagas stand now.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.access.row_owner import FOR_OPERATORS
from handrail.kernel import Money
from handrail.projections.projection import Happened, OutOfPlace, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.saga_board import Status
from handrail.projections.tables import read_model
from handrail.projections.totals import Key, totals, totals_table
from handrail.sagas.events import (
    NOTHING_AT_STAKE,
    AnswerAwaited,
    CompensationStarted,
    Ending,
    SagaDecided,
    SagaEnded,
    SagaParked,
    SagaResumed,
    SagaStarted,
    StepAnswered,
    StepCompensated,
    StepDone,
    StepFailed,
    StepRefused,
    StepUnknown,
)

Timed = Literal["decision", "completion", "compensation"]

LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "started": (),
    "attempts": (),
    "ended": ("ending",),
    "turned_back": ("because",),
    "steps": ("step", "outcome"),
    "parked": ("step",),
    "interventions": ("kind",),
    "seconds": ("timed", "le"),
    "milliseconds": ("timed",),
    "standing": ("status",),
    "at_stake": ("status", "currency"),
    "waiting": ("step",),
    "awaiting": (),
}
"""Every figure, and its labels after the type of saga."""
GAUGES: Final = frozenset({"standing", "at_stake", "waiting", "awaiting"})

_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0
UP_TO: Final = (
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR),
    *(_DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY),
)
"""The upper ends of the histograms' buckets, in seconds; above the last one is one more."""
BUCKETS: Final = (*(f"{edge:.10g}" for edge in UP_TO), "+Inf")

_CAUSES: Final = frozenset(
    {"Declined", "NotAnswered", "cancelled", "failed", "intervention", "superseded", "unknown"}
)
"""What turns sagas of every business back, beside the refusals of its contexts."""
_APART: Final = "\t"
NAME: Final = "saga_figures"


@dataclass(frozen=True, kw_only=True)
class SagaTally:
    """`since` is when the clock began: an attempt that takes the place of one that did not end goes
    on with its clock. `waiting` says of each step whether it is parked or awaits an answer, and
    since when. `tallies` are counts by figure and labels, joined by tabs.
    """

    saga: str
    saga_type: str
    at_stake: int
    currency: str
    since: datetime
    decided: bool = False
    turned_back: bool = False
    ending: Ending | None = None
    waiting: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parked_since: datetime | None = None
    tallies: Mapping[str, int]

    @property
    def status(self) -> Status:
        if self.ending:
            return self.ending
        if self.parked_since:
            return "parked"
        if self.waiting:
            return "awaiting"
        return "compensating" if self.turned_back else "running"

    def counting(self, figure: str, *labels: str, amount: int = 1) -> SagaTally:
        key = _APART.join((figure, *labels))
        return replace(self, tallies={**self.tallies, key: self.tallies.get(key, 0) + amount})

    def timing(self, what: Timed, until: datetime) -> SagaTally:
        took = max(until - self.since, timedelta(0))
        bucket = BUCKETS[bisect_left(UP_TO, took.total_seconds())]
        counted = self.counting("seconds", what, bucket)
        return counted.counting("milliseconds", what, amount=took // timedelta(milliseconds=1))

    def waits(self, waiting: Mapping[str, Mapping[str, str]]) -> SagaTally:
        """Nothing waits in a saga that has ended, whatever a worker tells that was thought dead."""
        if self.ending:
            return self
        parked = [one["since"] for one in waiting.values() if one["kind"] == "parked"]
        since = datetime.fromisoformat(min(parked)) if parked else None
        return replace(self, waiting=waiting, parked_since=since)


table = read_model(
    NAME,
    Column("saga", Text, primary_key=True),
    Column("saga_type", Text, nullable=False),
    Column("at_stake", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("decided", Boolean, nullable=False),
    Column("turned_back", Boolean, nullable=False),
    Column("ending", Text),
    # by step: kind and since
    Column("waiting", JSONB, nullable=False),
    Column("parked_since", DateTime(timezone=True)),
    Column("tallies", JSONB, nullable=False),
    # The oldest of each type is the first entry.
    Index(
        "saga_figures_parked_idx",
        "saga_type",
        "parked_since",
        postgresql_where=text("parked_since IS NOT NULL"),
    ),
)


def evolve(  # noqa: PLR0911  # one arm an event
    causes: Collection[str], row: SagaTally | None, happened: Happened
) -> SagaTally:
    """`causes` of a way back have labels of their own; others are counted as `other`, so that
    labels stay few.
    """
    at = happened.recorded_at
    if isinstance(happened.event, SagaStarted):
        return _started(row, happened.event, at)
    row = begun(row, happened)
    match happened.event:
        case SagaDecided():
            return row if row.decided else replace(row.timing("decision", at), decided=True)
        case CompensationStarted():
            return replace(row.waits({}), turned_back=True)
        case SagaEnded() as ended:
            return row if row.ending else _ended(causes, row, ended, at)
        case SagaParked(step=step):
            return _waits(row, step, "parked", at).counting("parked", step)
        case AnswerAwaited(step=step):
            return _waits(row, step, "awaiting", at)
        case SagaResumed(step=step, kind=kind):
            return _goes_on(row, step).counting("interventions", kind)
        case StepAnswered(step=step):
            return _goes_on(row, step)
        case _:
            return _step(row, happened)


def _started(row: SagaTally | None, started: SagaStarted, at: datetime) -> SagaTally:
    fresh = row is None or row.ending is not None
    began = SagaTally(
        saga=started.saga,
        saga_type=started.saga_type,
        at_stake=started.at_stake.amount,
        currency=started.at_stake.currency,
        since=at if row is None or fresh else row.since,
        decided=row is not None and not fresh and row.decided,
        tallies=row.tallies if row else {},
    )
    if fresh:
        began = began.counting("started")
    return began.counting("attempts") if started.attempt > 1 else began


def _ended(causes: Collection[str], row: SagaTally, ended: SagaEnded, at: datetime) -> SagaTally:
    timed: Timed = "completion" if ended.ending == "completed" else "compensation"
    row = replace(row.waits({}), ending=ended.ending).counting("ended", ended.ending)
    if ended.ending != "completed":
        row = row.counting("turned_back", ended.because if ended.because in causes else "other")
    return row.timing(timed, at)


def _step(row: SagaTally, happened: Happened) -> SagaTally:
    match happened.event:
        case StepDone(step=step):
            return _did(row, step).counting("steps", step, "done")
        case StepRefused(step=step):
            return row.counting("steps", step, "refused")
        case StepFailed(step=step):
            return row.counting("steps", step, "failed")
        case StepUnknown(step=step):
            return row.counting("steps", step, "unknown")
        case StepCompensated(step=step):
            return _did(row, step).counting("steps", step, "compensated")
        case other:
            raise OutOfPlace(type(other).__name__)


def _waits(row: SagaTally, step: str, kind: str, at: datetime) -> SagaTally:
    return row.waits({**row.waiting, step: {"kind": kind, "since": at.isoformat()}})


def _did(row: SagaTally, step: str) -> SagaTally:
    """What is done is not parked, though no person has resumed it: see the board."""
    parked = row.waiting.get(step, {}).get("kind") == "parked"
    return _goes_on(row, step) if parked else row


def _goes_on(row: SagaTally, step: str) -> SagaTally:
    return row.waits({one: why for one, why in row.waiting.items() if one != step})


def adds(row: SagaTally) -> Mapping[Key, int]:
    """By figure; the first label is the type of saga, the others are those of LABELS."""
    kind = row.saga_type
    found: dict[Key, int] = {("standing", (kind, row.status)): 1}
    if Money(row.at_stake, row.currency) != NOTHING_AT_STAKE:
        found["at_stake", (kind, row.status, row.currency)] = row.at_stake
    for joined, count in row.tallies.items():
        figure, *labels = joined.split(_APART)
        found[figure, (kind, *labels)] = count
    for step, why in row.waiting.items():
        if why["kind"] == "parked":
            found["waiting", (kind, step)] = 1
        else:
            found["awaiting", (kind,)] = 1
    return found


_TOTALS: Final = totals_table(NAME)


def projection(refusals: Iterable[str]) -> Projection[SagaTally]:
    """The projection of a business whose contexts refuse with events of these names.

    The names are labels of metrics: each adds a time series for each type of saga.
    """
    return Projection(
        name=NAME,
        version=3,
        row=SagaTally,
        table=table,
        categories=("saga",),
        handles=(
            SagaStarted,
            SagaDecided,
            CompensationStarted,
            SagaEnded,
            SagaParked,
            SagaResumed,
            AnswerAwaited,
            StepAnswered,
            StepDone,
            StepRefused,
            StepFailed,
            StepUnknown,
            StepCompensated,
        ),
        evolve=partial(evolve, _CAUSES.union(refusals)),
        owner=FOR_OPERATORS,
        adds=adds,
    )


@dataclass(frozen=True)
class Figures:
    """`totals` as `adds` names them; `oldest_parked` is by type of saga, where any is parked."""

    totals: Mapping[Key, int]
    oldest_parked: Mapping[str, datetime]

    @property
    def types(self) -> Sequence[str]:
        return sorted({labels[0] for figure, labels in self.totals if figure == "started"})

    def of(self, saga_type: str, figure: str) -> Mapping[tuple[str, ...], int]:
        """By the labels after the type."""
        return {
            labels[1:]: total
            for (name, labels), total in self.totals.items()
            if name == figure and labels[0] == saga_type
        }

    def buckets(self, saga_type: str, timed: Timed) -> Sequence[int]:
        """How many took how long, each counted in one of BUCKETS."""
        return [self.totals.get(("seconds", (saga_type, timed, one)), 0) for one in BUCKETS]

    def seconds(self, saga_type: str, timed: Timed) -> float:
        """All of them together."""
        return self.totals.get(("milliseconds", (saga_type, timed)), 0) / 1000


async def figures(connection: AsyncConnection) -> Figures:
    """Two statements, whose cost does not grow with the number of sagas."""
    found = Figures(await totals(connection, _TOTALS), {})
    oldest = await connection.execute(_OLDEST, {"types": list(found.types)})
    return replace(found, oldest_parked={kind: since for kind, since in oldest if since})


_OLDEST: Final = text("""
SELECT kind, (SELECT min(f.parked_since) FROM saga_figures f
              WHERE f.saga_type = kind AND f.parked_since IS NOT NULL)
FROM unnest(CAST(:types AS text[])) AS kind
""")
