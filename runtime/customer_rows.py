"""What the shop's tables hold of a customer: the read model of orders, and rows to delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.identifiers import OrderId
from handrail.privacy.removal import OF_THE_LIBRARY, Removal, remove
from projections import order_status

_MOST_NAMED: Final = 100
_OVER: Final = (*order_status.ENDED, "completed", "returned")
WEBHOOKS: Final = Removal(
    what="webhooks",
    statement='DELETE FROM webhooks w USING order_status o WHERE w.order_id = o."order"'
    " AND o.customer = :subject",
)
"""What other companies told us of the customer's orders, in their words."""


class StoredRows:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open_orders(self, customer: str) -> Sequence[OrderId]:
        rows = order_status.table.c
        query = (
            select(rows.order)
            .where(rows.customer == customer, rows.status.not_in(_OVER))
            .order_by(rows.placed_at, rows.order)
            .limit(_MOST_NAMED)
        )
        async with self._engine.connect() as connection:
            found = await connection.execute(query)
            return [OrderId(one) for one in found.scalars()]

    async def remove(self, customer: str) -> Mapping[str, int]:
        return await remove(self._engine, customer, (*OF_THE_LIBRARY, WEBHOOKS))


class NoRows:
    """Where there are no tables beside the event store."""

    async def open_orders(self, customer: str) -> Sequence[OrderId]:
        del customer
        return ()

    async def remove(self, customer: str) -> Mapping[str, int]:
        del customer
        return {}
