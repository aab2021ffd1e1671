"""Which sagas run, wait for a person, or have ended, and what happened in each.

running ─▶ compensating ─▶ refused | compensated
   │  ▲        │  ▲
   ▼  │        ▼  │
  parked      parked              running ─▶ completed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Text, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.sagas.events import (
    EVENTS,
    CancelRequested,
    CompensationStarted,
    Direction,
    SagaDecided,
    SagaEnded,
    SagaParked,
    SagaResumed,
    SagaStarted,
    StepCompensated,
    StepDone,
    StepFailed,
    StepRefused,
    StepUnknown,
)
from projections.paging import After, Slice, one_of, slice_of
from projections.projection import Happened, OutOfPlace, Projection, begun
from projections.tables import index, read_model

Status = Literal["running", "compensating", "parked", "completed", "refused", "compensated"]
Decision = Literal["approved", "refused"]


@dataclass(frozen=True, kw_only=True)
class SagaRow:
    """`step` is the one that spoke last or, while parked, the one that has waited the longest.

    `cause` says what a parked saga waits for; `because` and `reason` why it turned back. `waiting`
    holds every parked step: steps that run side by side may be parked together.
    """

    saga: str
    saga_type: str
    shape: int
    attempt: int
    merchant: str
    actor: str
    status: Status = "running"
    step: str = ""
    direction: Direction = "do"
    cause: str = ""
    decision: Decision | None = None
    because: str = ""
    reason: str = ""
    at_stake: int
    currency: str
    waiting: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parked_since: datetime | None = None
    started_at: datetime
    ended_at: datetime | None = None
    updated_at: datetime
    version: int
    timeline: Sequence[Mapping[str, Any]]


table = read_model(
    "saga_board",
    Column("saga", Text, primary_key=True),
    Column("saga_type", Text, nullable=False),
    Column("shape", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("merchant", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("decision", Text),
    Column("because", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_stake", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    # since when, in which direction and why each parked step waits
    Column("waiting", JSONB, nullable=False),
    Column("parked_since", DateTime(timezone=True)),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    # of the saga's stream
    Column("version", BigInteger, nullable=False),
    # a list of: at, what, step, direction, outcome, cause, actor, reason, version
    Column("timeline", JSONB, nullable=False),
    index("saga_board", "started_at", "saga"),
    index("saga_board", "status", "started_at", "saga"),
    index("saga_board", "merchant", "started_at", "saga"),
    Index(
        "saga_board_parked_idx",
        "parked_since",
        "saga",
        postgresql_where=text("parked_since IS NOT NULL"),
    ),
)


def evolve(row: SagaRow | None, happened: Happened) -> SagaRow:
    at = happened.recorded_at
    if isinstance(happened.event, SagaStarted):
        row = _started(row, happened.event, at)
    else:
        row = _moved(begun(row, happened), happened)
    timeline = [*row.timeline, _entry(happened)]
    return replace(row, updated_at=at, version=happened.version, timeline=timeline)


def _moved(row: SagaRow, happened: Happened) -> SagaRow:  # noqa: C901, PLR0911  # one arm an event
    match happened.event:
        case StepDone(step=step) | StepRefused(step=step):
            return _spoke(row, step, "do")
        case StepFailed(step=step, cause=cause):
            return _spoke(row, step, "do", cause)
        case StepUnknown(step=step, direction=direction, cause=cause):
            return _spoke(row, step, direction, cause)
        case StepCompensated(step=step):
            return _spoke(row, step, "undo")
        case SagaParked(step=step, direction=direction, cause=cause):
            since = happened.recorded_at.isoformat()
            parked = {"since": since, "direction": direction, "cause": cause}
            return _waits(row, {**row.waiting, step: parked})
        case SagaResumed(step=step):
            return _waits(row, {one: why for one, why in row.waiting.items() if one != step})
        case SagaDecided(approved=approved, because=because, reason=reason):
            decision: Decision = "approved" if approved else "refused"
            return replace(row, decision=decision, because=because, reason=reason)
        case CompensationStarted(because=because, reason=reason):
            # A cancelled saga leaves its parked step without anybody having resumed it.
            row = replace(row, direction="undo", because=because, reason=reason)
            return _waits(row, {})
        case CancelRequested():
            return row
        case SagaEnded(ending=ending, because=because, reason=reason):
            row = replace(_waits(row, {}), status=ending, because=because, reason=reason)
            return replace(row, step="", ended_at=happened.recorded_at)
        case other:
            raise OutOfPlace(type(other).__name__)


def _started(row: SagaRow | None, started: SagaStarted, at: datetime) -> SagaRow:
    """Another attempt begins from nothing, but its timeline goes on."""
    return SagaRow(
        saga=started.saga,
        saga_type=started.saga_type,
        shape=started.shape,
        attempt=started.attempt,
        merchant=started.merchant,
        actor=started.actor,
        at_stake=started.at_stake.amount,
        currency=started.at_stake.currency,
        started_at=at,
        updated_at=at,
        version=0,
        timeline=row.timeline if row else (),
    )


def _spoke(row: SagaRow, step: str, direction: Direction, cause: str = "") -> SagaRow:
    if row.waiting or row.ended_at:
        return row  # what waits for a person stays in view
    return replace(row, step=step, direction=direction, cause=cause)


def _waits(row: SagaRow, waiting: Mapping[str, Mapping[str, str]]) -> SagaRow:
    if not waiting:
        status: Status = "compensating" if row.direction == "undo" else "running"
        return replace(row, status=status, waiting=waiting, parked_since=None, cause="")
    step, first = min(waiting.items(), key=lambda item: item[1]["since"])
    return replace(
        row,
        status="parked",
        waiting=waiting,
        parked_since=datetime.fromisoformat(first["since"]),
        step=step,
        direction="undo" if first["direction"] == "undo" else "do",
        cause=first["cause"],
    )


_TOLD: Final = ("step", "direction", "outcome", "cause", "actor", "reason")


def _entry(happened: Happened) -> Mapping[str, Any]:
    """One line of the timeline; what an event does not say is None."""
    event = happened.event
    told: dict[str, Any] = {name: getattr(event, name, None) for name in _TOLD}
    match event:
        case StepDone() | StepRefused() | StepFailed():
            told["direction"] = "do"
        case StepCompensated():
            told["direction"] = "undo"
        case SagaDecided(approved=approved):
            told["outcome"] = "approved" if approved else "refused"
        case SagaEnded(ending=ending):
            told["outcome"] = ending
        case SagaResumed(kind=kind):
            told["outcome"] = kind
        case _:
            pass
    if isinstance(event, CompensationStarted | SagaDecided | SagaEnded):
        told["cause"] = event.because or None
    told["actor"] = told["actor"] or happened.metadata.get("actor")
    return {
        "at": happened.recorded_at.isoformat(),
        "what": type(event).__name__,
        **told,
        "version": happened.version,
    }


PROJECTION = Projection(
    name="saga_board",
    version=1,
    row=SagaRow,
    table=table,
    categories=("saga",),
    handles=EVENTS,
    evolve=evolve,
)


async def saga(connection: AsyncConnection, saga: str) -> SagaRow | None:
    return await one_of(connection, select(table).where(table.c.saga == saga), SagaRow)


async def sagas(
    connection: AsyncConnection,
    *,
    status: Status | None = None,
    saga_type: str | None = None,
    merchant: str | None = None,
    step: str | None = None,
    after: After | None = None,
    limit: int = 50,
) -> Slice[SagaRow]:
    """Newest first; `after` is (started_at, saga)."""
    query = select(table).where(*_matching(status, saga_type, merchant, step))
    by = (table.c.started_at, table.c.saga)
    return await slice_of(
        connection, query, SagaRow, by=by, after=after, limit=limit, newest_first=True
    )


async def parked(
    connection: AsyncConnection,
    *,
    saga_type: str | None = None,
    merchant: str | None = None,
    step: str | None = None,
    newest_first: bool = False,
    after: After | None = None,
    limit: int = 50,
) -> Slice[SagaRow]:
    """What waits for a person, the longest wait first; `after` is (parked_since, saga)."""
    query = select(table).where(
        table.c.parked_since.is_not(None), *_matching(None, saga_type, merchant, step)
    )
    by = (table.c.parked_since, table.c.saga)
    return await slice_of(
        connection, query, SagaRow, by=by, after=after, limit=limit, newest_first=newest_first
    )


def _matching(
    status: str | None, saga_type: str | None, merchant: str | None, step: str | None
) -> list[Any]:
    wanted = {"status": status, "saga_type": saga_type, "merchant": merchant, "step": step}
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


@dataclass(frozen=True)
class Standing:
    """All sagas of one type that stand alike."""

    saga_type: str
    status: str
    currency: str
    count: int
    at_stake: int
    oldest: datetime
    """When the first of them started or, where they are parked, was parked."""


async def standings(connection: AsyncConnection) -> Sequence[Standing]:
    """Counts for metrics. It counts rows, so ask it a few times a minute at most."""
    since = func.min(func.coalesce(table.c.parked_since, table.c.started_at))
    by = (table.c.saga_type, table.c.status, table.c.currency)
    query = select(*by, func.count(), func.sum(table.c.at_stake), since).group_by(*by).order_by(*by)
    found = await connection.execute(query)
    return [
        Standing(kind, status, currency, count, int(stake), oldest)
        for kind, status, currency, count, stake, oldest in found
    ]
