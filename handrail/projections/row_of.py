"""A read model's row, read by its key."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.paging import one_of
from handrail.projections.projection import Projection

RowT = TypeVar("RowT")


async def row_of(
    connection: AsyncConnection, projection: Projection[RowT], key: str
) -> RowT | None:
    """The row with this key, or None."""
    table = projection.table
    query = select(table).where(table.c[projection.key] == key)
    return await one_of(connection, query, projection.row)
