"""Outcomes of an intervention in many sagas: how those that were told stand now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.tables import events
from handrail.kernel import stream_name
from handrail.sagas.interventions import SagaTold

LOOKED_AT: Final = 2_000
"""Sagas of an intervention whose outcomes are counted: those that were told first."""
PARKED_AGAIN: Final = "parked again"
UNKNOWN: Final = "unknown"


def became(heard: str, status: str | None) -> str:
    """How a saga that took it so stands, by its status on the board."""
    if status == "parked" and heard == "accepted":
        return PARKED_AGAIN
    return status or UNKNOWN


async def statuses(
    connection: AsyncConnection, board: Table, sagas: Collection[str]
) -> Mapping[str, str]:
    """The status of each of these sagas that is on the board."""
    query = select(board.c.saga, board.c.status).where(board.c.saga.in_(sagas))
    return {row.saga: row.status for row in await connection.execute(query)}


async def outcomes(
    connection: AsyncConnection, board: Table, intervention: str
) -> Mapping[str, int]:
    """How many sagas stand how, of the first 2,000 that were told; the most frequent first. One
    statement.
    """
    told = (
        select(events.c.data)
        .where(
            events.c.stream == stream_name("intervention", intervention),
            events.c.type == SagaTold.__name__,
        )
        .order_by(events.c.version)
        .limit(LOOKED_AT)
        .subquery()
    )
    heard = told.c.data["heard"].astext.label("heard")
    query = (
        select(heard, board.c.status, func.count().label("sagas"))
        .select_from(told.outerjoin(board, board.c.saga == told.c.data["saga"].astext))
        .group_by(heard, board.c.status)
    )
    counts: Counter[str] = Counter()
    for row in await connection.execute(query):
        counts[became(row.heard, row.status)] += row.sagas
    return dict(counts.most_common())
