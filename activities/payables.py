"""Whom there is to pay. It appends nothing, so it has no key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from temporalio import activity

from domain.settlement.payable import Payable


class Balances(Protocol):
    """Where it is seen what merchants are owed; `minimum` is in minor units of any currency."""

    async def count(self, minimum: int) -> int:
        """How many merchants are owed that much."""
        ...

    async def page(self, minimum: int, after: str, limit: int) -> Sequence[Payable]:
        """Merchants by id, those after `after`."""
        ...


def activities(balances: Balances) -> Sequence[Callable[..., Any]]:
    @activity.defn(name="CountPayable")
    async def count(minimum: int) -> int:
        return await balances.count(minimum)

    @activity.defn(name="SelectPayable")
    async def select(minimum: int, after: str, limit: int) -> Sequence[Payable]:
        return await balances.page(minimum, after, limit)

    return [count, select]
