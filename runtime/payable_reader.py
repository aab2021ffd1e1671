"""What a run of payouts needs of the read models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from activities import payables
from domain.identifiers import MerchantId
from domain.settlement.payable import Payable
from handrail.kernel import Money
from projections import payable


class MerchantBalances:
    """The read model, as the activities ask for it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def count(self, minimum: int) -> int:
        async with self._engine.connect() as connection:
            return await payable.count(connection, minimum)

    async def page(self, minimum: int, after: str, limit: int) -> Sequence[Payable]:
        async with self._engine.connect() as connection:
            found = await payable.page(connection, minimum, after=after, limit=limit)
        return [
            Payable(merchant=MerchantId(row.merchant), balance=Money(row.balance, row.currency))
            for row in found
        ]


def activities(engine: AsyncEngine) -> Sequence[Callable[..., Any]]:
    return payables.activities(MerchantBalances(engine))
