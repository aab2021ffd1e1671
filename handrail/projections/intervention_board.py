"""Which interventions in many sagas there are, and how far each has come.

running ⇄ suspended, then finished | stopped. What became of each saga is in the stream
`intervention-{id}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any, Literal

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, Text, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.access.row_owner import FOR_OPERATORS
from handrail.paging import After, Slice, one_of, slice_of
from handrail.projections.past_lists import PastList
from handrail.projections.projection import Happened, OutOfPlace, Projection, begun
from handrail.projections.replace_row import replace
from handrail.projections.tables import index, read_model
from handrail.sagas.interventions import (
    EVENTS,
    InterventionBegun,
    InterventionFinished,
    InterventionResumed,
    InterventionStopped,
    InterventionSuspended,
    Kind,
    SagaTold,
    Which,
)
from handrail.tenant_word import key_of, version_with

State = Literal["running", "suspended", "stopped", "finished"]


@dataclass(frozen=True, kw_only=True)
class InterventionRow:
    """`found` were parked and matched `which` when it began; `version` is that of its stream.

    `stopped_by` has stopped it, or suspended it for now, for `stop_reason`.
    """

    intervention: str
    state: State = "running"
    kind: Kind
    which: Mapping[str, Any]
    actor: str
    reason: str
    evidence: str
    happened: bool
    correction: str
    per_second: int
    found: int
    accepted: int = 0
    refused: int = 0
    unreachable: int = 0
    stopped_by: str = ""
    stop_reason: str = ""
    began_at: datetime
    ended_at: datetime | None = None
    updated_at: datetime
    version: int


table = read_model(
    "intervention_board",
    Column("intervention", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # saga_type, step, failure, older_than_seconds, and the tenant under its word; empty means any
    Column("which", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("happened", Boolean, nullable=False),
    # the corrected fields, as a JSON object
    Column("correction", Text, nullable=False),
    Column("per_second", Integer, nullable=False),
    Column("found", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("unreachable", Integer, nullable=False),
    Column("stopped_by", Text, nullable=False),
    Column("stop_reason", Text, nullable=False),
    Column("began_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("version", BigInteger, nullable=False),
    index("intervention_board", "began_at", "intervention"),
)


def evolve(  # noqa: PLR0911  # one arm an event
    tenant: str, row: InterventionRow | None, happened: Happened
) -> InterventionRow:
    """`tenant` is the App's word for it."""
    if isinstance(happened.event, InterventionBegun):
        return _began(tenant, happened.event, happened)
    row = replace(begun(row, happened), updated_at=happened.recorded_at, version=happened.version)
    match happened.event:
        case SagaTold(heard="accepted"):
            return replace(row, accepted=row.accepted + 1)
        case SagaTold(heard="refused"):
            return replace(row, refused=row.refused + 1)
        case SagaTold(heard="unreachable"):
            return replace(row, unreachable=row.unreachable + 1)
        case InterventionStopped(actor=actor, reason=reason):
            ended = replace(row, state="stopped", ended_at=happened.recorded_at)
            return replace(ended, stopped_by=actor, stop_reason=reason)
        case InterventionSuspended(actor=actor, reason=reason):
            return replace(row, state="suspended", stopped_by=actor, stop_reason=reason)
        case InterventionResumed():
            return replace(row, state="running", stopped_by="", stop_reason="")
        case InterventionFinished():
            ended = replace(row, state="finished", ended_at=happened.recorded_at)
            return replace(ended, stopped_by="", stop_reason="")
        case other:
            raise OutOfPlace(type(other).__name__)


def _began(tenant: str, event: InterventionBegun, happened: Happened) -> InterventionRow:
    asked = event.asked
    return InterventionRow(
        intervention=event.intervention,
        kind=asked.kind,
        which={key_of(Which, name, tenant): one for name, one in vars(asked.which).items()},
        actor=asked.actor,
        reason=asked.reason,
        evidence=asked.evidence,
        happened=asked.happened,
        correction=asked.correction,
        per_second=asked.per_second,
        found=event.found,
        began_at=happened.recorded_at,
        updated_at=happened.recorded_at,
        version=happened.version,
    )


@cache
def projection(tenant: str) -> Projection[InterventionRow]:
    """The read model of an App that calls its tenant so."""
    return Projection(
        name="intervention_board",
        version=version_with(1, tenant),
        row=InterventionRow,
        table=table,
        categories=("intervention",),
        handles=EVENTS,
        evolve=partial(evolve, tenant),
        owner=FOR_OPERATORS,
    )


async def intervention(connection: AsyncConnection, intervention: str) -> InterventionRow | None:
    query = select(table).where(table.c.intervention == intervention)
    return await one_of(connection, query, InterventionRow)


async def interventions(
    connection: AsyncConnection, *, after: After | None = None, limit: int = 50
) -> Slice[InterventionRow]:
    """Newest first; `after` is (began_at, intervention)."""
    by = (table.c.began_at, table.c.intervention)
    return await slice_of(
        connection,
        select(table),
        InterventionRow,
        by=by,
        after=after,
        limit=limit,
        newest_first=True,
    )


def list_of(board: Projection[InterventionRow]) -> PastList[InterventionRow]:
    """What `interventions` lists, as of a moment."""
    return PastList(board, ("began_at", "intervention"), newest_first=True)
