"""Merchants who are owed enough to be paid, as `merchant_balance` has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.merchant_balance import table


@dataclass(frozen=True, kw_only=True)
class Owed:
    """`balance` is in minor units of `currency`."""

    merchant: str
    balance: int
    currency: str


async def count(connection: AsyncConnection, minimum: int) -> int:
    query = select(func.count()).select_from(table).where(table.c.balance >= minimum)
    found: int = (await connection.execute(query)).scalar_one()
    return found


async def page(
    connection: AsyncConnection, minimum: int, *, after: str, limit: int
) -> Sequence[Owed]:
    """By merchant, those after `after`; as many as `limit`."""
    query = (
        select(table.c.merchant, table.c.balance, table.c.currency)
        .where(table.c.balance >= minimum, table.c.merchant > after)
        .order_by(table.c.merchant)
        .limit(limit)
    )
    found = await connection.execute(query)
    return [
        Owed(merchant=row.merchant, balance=row.balance, currency=row.currency) for row in found
    ]
