"""What a row was at some moment: folded anew from the events that were stored by then."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from eventstore.codec import Codec
from eventstore.messages import CODEC
from eventstore.store import Recorded
from eventstore.tables import events
from projections.folding import apply, read
from projections.projection import Projection

RowT = TypeVar("RowT")


async def as_of(
    connection: AsyncConnection,
    projection: Projection[RowT],
    id_: str,
    moment: datetime,
    codec: Codec = CODEC,
) -> RowT | None:
    """None where the row did not exist yet.

    Raises what an event makes `evolve` raise, where the read model would have parked the row.
    """
    found = await connection.execute(
        select(
            events.c.position,
            events.c.stream,
            events.c.version,
            events.c.type,
            events.c.schema,
            events.c.data,
            events.c.metadata,
            events.c.recorded_at,
        )
        .where(
            events.c.stream.in_([f"{category}-{id_}" for category in projection.categories]),
            events.c.recorded_at <= moment,
        )
        .order_by(events.c.position)
    )
    row: RowT | None = None
    for one in found:
        recorded = Recorded(*one)
        if projection.reads(recorded):
            row = apply(projection, row, read(recorded, codec))
    return row
