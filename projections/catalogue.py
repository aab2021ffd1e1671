"""Every read model there is."""

from __future__ import annotations

from typing import Any, Final

from projections import (
    customer_account,
    merchant_balance,
    order_status,
    saga_board,
    stock_level,
)
from projections.projection import Projection

PROJECTIONS: Final[tuple[Projection[Any], ...]] = (
    order_status.PROJECTION,
    customer_account.PROJECTION,
    merchant_balance.PROJECTION,
    stock_level.PROJECTION,
    saga_board.PROJECTION,
)
