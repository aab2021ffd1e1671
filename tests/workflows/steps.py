"""The steps of the checkout, read from the saga itself: whoever adds one has it tested."""

from __future__ import annotations

import pytest

from tests.controls import a_customer, an_order
from workflows.checkout import Checkout, saga

_ORDER = an_order(customer=a_customer())
CHECKOUT = Checkout(
    order=_ORDER.order,
    customer=_ORDER.customer,
    merchant=_ORDER.merchant,
    lines=_ORDER.lines,
    total=_ORDER.total,
    instalments=_ORDER.instalments,
    card="card_ok",
    ship_to="addr_ok",
    placed_at=_ORDER.placed_at,
)
SAGA = saga(CHECKOUT)

COMPENSATABLE = [step.name for group in SAGA.groups for step in group]
PIVOT = type(SAGA.pivot).__name__
RETRIABLE = [type(command).__name__ for command in SAGA.retriable]
OUR_OWN = [step.name for group in SAGA.groups for step in group if not step.do.asks_outside]

in_both_placements = pytest.mark.parametrize("steps", ["local", "queues"])
at_every_step = pytest.mark.parametrize("step", [*COMPENSATABLE, PIVOT, *RETRIABLE])
at_every_compensatable_step = pytest.mark.parametrize("step", COMPENSATABLE)
at_every_later_step = pytest.mark.parametrize("step", [PIVOT, *RETRIABLE])
at_every_retriable_step = pytest.mark.parametrize("step", RETRIABLE)
