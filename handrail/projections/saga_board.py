"""Which sagas run, wait for a person, or have ended, and what happened in each.

running ─▶ compensating ─▶ refused | compensated
   │  ▲        │  ▲
   ▼  │        ▼  │
  parked      parked              running ─▶ completed
 awaiting

A parked saga waits for an operator, an awaiting one for the answer of a person or another system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.access.principal import Visibility
from handrail.access.row_owner import RowOwner
from handrail.paging import After, Slice, one_of, select_by_key, slice_of
from handrail.projections.own_rows import own_rows
from handrail.projections.past_lists import PastList
from handrail.projections.projection import Happened, OutOfPlace, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.tables import index, read_model
from handrail.sagas.events import (
    EVENTS,
    AnswerAwaited,
    AnswerReminded,
    CancelRequested,
    CompensationStarted,
    Direction,
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
from handrail.sagas.interventions import SagaFilter
from handrail.tenant_word import version_with

Status = Literal[
    "running", "compensating", "awaiting", "parked", "completed", "refused", "compensated"
]
Decision = Literal["approved", "refused"]
_AT_A_STEP: Final[Sequence[Status]] = ("running", "compensating", "awaiting", "parked")
"""One that has ended is at no step."""


@dataclass(frozen=True, kw_only=True)
class SagaRow:
    """`step` is the one that spoke last or, while parked, the one that has waited the longest.

    `cause` says what a parked saga waits for; `because` and `reason` why it turned back. `waiting`
    holds every step that is parked or awaits an answer: those that run side by side may wait
    together. What is parked comes before what awaits an answer.
    """

    saga: str
    saga_type: str
    shape: int
    attempt: int
    tenant: str
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


NAME: Final = "saga_board"


def _table(tenant: str) -> Table:
    return read_model(
        NAME,
        Column("saga", Text, primary_key=True),
        Column("saga_type", Text, nullable=False),
        Column("shape", Integer, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column(tenant, Text, key="tenant", nullable=False),
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
        # by step, what it is (parked or awaiting), since when, in which direction and why; until
        # when
        Column("waiting", JSONB, nullable=False),
        Column("parked_since", DateTime(timezone=True)),
        Column("started_at", DateTime(timezone=True), nullable=False),
        Column("ended_at", DateTime(timezone=True)),
        Column("updated_at", DateTime(timezone=True), nullable=False),
        # of the saga's stream
        Column("version", BigInteger, nullable=False),
        # a list of: at, what, step, direction, outcome, cause, actor, reason, version; and where
        # there is one: intervention, evidence, correction, until
        Column("timeline", JSONB, nullable=False),
        index("saga_board", "started_at", "saga"),
        index("saga_board", "status", "started_at", "saga"),
        # Of a type that is rare, or none, all others would be looked through.
        index("saga_board", "saga_type", "started_at", "saga"),
        Index(f"saga_board_{tenant}_started_at_saga_idx", "tenant", "started_at", "saga"),
        Index(
            "saga_board_parked_idx",
            "parked_since",
            "saga",
            postgresql_where=text("parked_since IS NOT NULL"),
        ),
        Index(
            "saga_board_parked_saga_idx",
            "saga",
            postgresql_where=text("parked_since IS NOT NULL"),
        ),
    )


def evolve(row: SagaRow | None, happened: Happened) -> SagaRow:
    at = happened.recorded_at
    if isinstance(happened.event, SagaStarted):
        row = _started(row, happened.event, at)
    else:
        row = begun(row, happened)
        # What a worker that was thought dead tells after the end is on record, and changes nothing.
        row = row if row.ended_at else _row_after(row, happened)
    timeline = [*row.timeline, _entry(happened)]
    return replace(row, updated_at=at, version=happened.version, timeline=timeline)


def _row_after(row: SagaRow, happened: Happened) -> SagaRow:  # noqa: C901, PLR0911, PLR0912  # one arm an event
    match happened.event:
        case StepDone(step=step):
            return _spoke(_did(row, step), step, "do")
        case StepRefused(step=step):
            return _spoke(row, step, "do")
        case StepFailed(step=step, cause=cause):
            return _spoke(row, step, "do", cause)
        case StepUnknown(step=step, direction=direction, cause=cause):
            return _spoke(row, step, direction, cause)
        case StepCompensated(step=step):
            return _spoke(_did(row, step), step, "undo")
        case SagaParked(step=step, direction=direction, cause=cause):
            since = happened.recorded_at.isoformat()
            parked = {"kind": "parked", "since": since, "direction": direction, "cause": cause}
            return _waits(row, {**row.waiting, step: parked})
        case AnswerAwaited(step=step, until=until):
            awaited = {
                "kind": "awaiting",
                "since": happened.recorded_at.isoformat(),
                "direction": "do",
                "cause": "",
                "until": until.isoformat(),
            }
            return _waits(row, {**row.waiting, step: awaited})
        case SagaResumed(step=step) | StepAnswered(step=step):
            return _waits(row, {one: why for one, why in row.waiting.items() if one != step})
        case SagaDecided(approved=approved, because=because, reason=reason):
            decision: Decision = "approved" if approved else "refused"
            return replace(row, decision=decision, because=because, reason=reason)
        case CompensationStarted(because=because, reason=reason):
            # A cancelled saga leaves its parked step without anybody having resumed it.
            row = replace(row, direction="undo", because=because, reason=reason)
            return _waits(row, {})
        case CancelRequested() | AnswerReminded():
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
        tenant=started.tenant,
        actor=started.actor,
        at_stake=started.at_stake.amount,
        currency=started.at_stake.currency,
        started_at=at,
        updated_at=at,
        version=0,
        timeline=row.timeline if row else (),
    )


def _spoke(row: SagaRow, step: str, direction: Direction, cause: str = "") -> SagaRow:
    if row.waiting:
        return row  # what waits for a person stays in view
    return replace(row, step=step, direction=direction, cause=cause)


def _did(row: SagaRow, step: str) -> SagaRow:
    """What is done is not parked, though no person has resumed it: a worker that dies leaves it to
    the next one, which asks again and may be answered.
    """
    if row.waiting.get(step, {}).get("kind") != "parked":
        return row
    return _waits(row, {one: why for one, why in row.waiting.items() if one != step})


def _waits(row: SagaRow, waiting: Mapping[str, Mapping[str, str]]) -> SagaRow:
    if not waiting:
        status: Status = "compensating" if row.direction == "undo" else "running"
        return replace(row, status=status, waiting=waiting, parked_since=None, cause="")
    step, first = min(
        waiting.items(), key=lambda item: (item[1]["kind"] != "parked", item[1]["since"])
    )
    parked = first["kind"] == "parked"
    return replace(
        row,
        status="parked" if parked else "awaiting",
        waiting=waiting,
        parked_since=datetime.fromisoformat(first["since"]) if parked else None,
        step=step,
        direction="undo" if first["direction"] == "undo" else "do",
        cause=first["cause"],
    )


_TOLD: Final = ("step", "direction", "outcome", "cause", "actor", "reason")
_TOLD_BY_FEW: Final = ("intervention", "evidence", "correction")


def _entry(happened: Happened) -> Mapping[str, Any]:
    """One line of the timeline; what an event does not say is None, or missing if few say it."""
    event = happened.event
    told: dict[str, Any] = {name: getattr(event, name, None) for name in _TOLD}
    told |= {name: said for name in _TOLD_BY_FEW if (said := getattr(event, name, ""))}
    match event:
        case StepDone() | StepRefused() | StepFailed():
            told["direction"] = "do"
        case StepCompensated():
            told["direction"] = "undo"
        case SagaDecided(approved=approved) | StepAnswered(approved=approved):
            told["outcome"] = "approved" if approved else "refused"
        case SagaEnded(ending=ending):
            told["outcome"] = ending
        case SagaResumed(kind=kind):
            told["outcome"] = kind
        case AnswerAwaited(until=until) | AnswerReminded(until=until):
            told["until"] = until.isoformat()
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


@cache
def projection(tenant: str) -> Projection[SagaRow]:
    """The read model of an App that calls its tenant so: its column has that name."""
    return Projection(
        name=NAME,
        version=version_with(5, tenant),
        row=SagaRow,
        table=_table(tenant),
        categories=("saga",),
        handles=EVENTS,
        evolve=evolve,
        begins="started_at",
        owner=RowOwner(tenant="tenant"),
    )


async def saga(connection: AsyncConnection, board: Table, saga: str) -> SagaRow | None:
    return await one_of(
        connection, select_by_key(board.columns).where(board.c.saga == saga), SagaRow
    )


async def sagas(
    connection: AsyncConnection,
    board: Projection[SagaRow],
    *,
    visible: Visibility,
    status: Status | None = None,
    saga_type: str | None = None,
    tenant: str | None = None,
    step: str | None = None,
    after: After | None = None,
    limit: int = 50,
) -> Slice[SagaRow]:
    """Newest first, of those that are `visible`; `after` is (started_at, saga)."""
    table = board.table
    matching = _matching(table, status, saga_type, tenant, step)
    query = select_by_key(table.columns).where(*own_rows(visible, board.owner, table), *matching)
    by = (table.c.started_at, table.c.saga)
    return await slice_of(
        connection, query, SagaRow, by=by, after=after, limit=limit, newest_first=True
    )


def list_of(board: Projection[SagaRow], where: Mapping[str, Any]) -> PastList[SagaRow]:
    """What `sagas` lists, as of a moment."""
    by, fixed = ("started_at", "saga"), ("saga_type",)
    return PastList(board, by, where, fixed=fixed, newest_first=True)


async def parked(
    connection: AsyncConnection,
    board: Table,
    which: SagaFilter,
    *,
    until: datetime | None = None,
    newest_first: bool = False,
    after: After | None = None,
    limit: int = 50,
) -> Slice[SagaRow]:
    """What waits for an operator, the longest wait first; `after` is (parked_since, saga).

    `until` is when a saga was parked at the latest. With a step in the filter, that step has to be
    parked, and for the failure in the filter.
    """
    query = select_by_key(board.columns).where(*_parked(board, which, until))
    by = (board.c.parked_since, board.c.saga)
    return await slice_of(
        connection, query, SagaRow, by=by, after=after, limit=limit, newest_first=newest_first
    )


async def parked_steps(
    connection: AsyncConnection,
    board: Table,
    which: SagaFilter,
    *,
    until: datetime | None = None,
    after: str = "",
    limit: int = 50,
) -> Sequence[tuple[str, str]]:
    """Each saga and the step that is parked, by the saga's id: none twice, whatever it does
    meanwhile. Where several steps are, it is the one that was asked for, or else the longest wait.
    """
    query = select(board.c.saga, board.c.step).where(
        *_parked(board, which, until), board.c.saga > after
    )
    found = await connection.execute(query.order_by(board.c.saga).limit(limit))
    return [(saga, which.step or step) for saga, step in found]


@dataclass(frozen=True)
class Stake:
    """How many are parked, and the money at stake in them; one for each currency."""

    currency: str
    count: int
    at_stake: int


async def parked_stakes(
    connection: AsyncConnection,
    board: Table,
    which: SagaFilter,
    *,
    until: datetime | None = None,
) -> Sequence[Stake]:
    query = (
        select(board.c.currency, func.count(), func.sum(board.c.at_stake))
        .where(*_parked(board, which, until))
        .group_by(board.c.currency)
        .order_by(board.c.currency)
    )
    found = await connection.execute(query)
    return [Stake(currency, count, int(stake)) for currency, count, stake in found]


def _parked(board: Table, which: SagaFilter, until: datetime | None) -> list[ColumnElement[bool]]:
    waiting = board.c.parked_since.is_not(None)
    owned = _matching(board, None, which.saga_type or None, which.tenant or None, None)
    conditions = [waiting, *owned]
    since: ColumnElement[datetime] = board.c.parked_since
    cause: ColumnElement[str] = board.c.cause
    if which.step:
        place = board.c.waiting[which.step]
        since, cause = cast(place["since"].astext, DateTime(timezone=True)), place["cause"].astext
        conditions.append(place["kind"].astext == "parked")
    if which.failure:
        conditions.append(cause.icontains(which.failure, autoescape=True))
    if until is not None:
        conditions.append(since <= until)
    return conditions


def _matching(
    board: Table, status: str | None, saga_type: str | None, tenant: str | None, step: str | None
) -> list[ColumnElement[bool]]:
    wanted = {"status": status, "saga_type": saga_type, "tenant": tenant, "step": step}
    conditions = [board.c[name] == value for name, value in wanted.items() if value is not None]
    if step and status is None:
        conditions.append(board.c.status.in_(_AT_A_STEP))  # which has an index, as a step has not
    return conditions
