"""Every read model there is."""

from __future__ import annotations

from typing import Any, Final

from handrail.projections import intervention_board, saga_board, saga_figures
from handrail.projections.projection import Projection
from handrail.projections.read_model import NEXT
from projections import (
    customer_account,
    instalment_plan,
    merchant_application,
    merchant_balance,
    order_status,
    stock_level,
)

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
