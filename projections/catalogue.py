"""Every read model there is."""

from __future__ import annotations

from typing import Any, Final

from projections import (
    customer_account,
    instalment_plan,
    intervention_board,
    merchant_application,
    merchant_balance,
    order_status,
    saga_board,
    saga_figures,
    stock_level,
)
from projections.projection import Projection
from projections.readmodel import NEXT

PROJECTIONS: Final[tuple[Projection[Any], ...]] = (
    order_status.PROJECTION,
    customer_account.PROJECTION,
    instalment_plan.PROJECTION,
    merchant_balance.PROJECTION,
    merchant_application.PROJECTION,
    stock_level.PROJECTION,
    saga_board.PROJECTION,
    saga_figures.PROJECTION,
    intervention_board.PROJECTION,
)

READ_MODELS: Final = frozenset(one.name + suffix for one in PROJECTIONS for suffix in ("", NEXT))
"""Their names, and those of the ones that may be being built."""
