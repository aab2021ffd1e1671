"""The steps of the checkout, read from the saga itself: whoever adds one has it tested."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from handrail.testing.side_by_side import Case, all_others_have_ended, side_by_side
from tests.controls import an_order
from tests.workflows.ordered import a_checkout
from workflows.checkout import saga

__all__ = [
    "COMPENSATABLE",
    "EVERY",
    "GROUPS",
    "LATER",
    "OUR_OWN",
    "PIVOT",
    "RETRIABLE",
    "SAGA",
    "all_others_have_ended",
    "at",
    "side_by_side",
]

SAGA = saga(a_checkout(an_order()))
GROUPS = [[step.name for step in group] for group in SAGA.groups]
COMPENSATABLE = [step for group in GROUPS for step in group]
OUR_OWN = [step.name for group in SAGA.groups for step in group if not step.do.asks_outside]
PIVOT = type(SAGA.pivot).__name__
RETRIABLE = [duty.name for group in SAGA.retriable_groups for duty in group]
LATER = [PIVOT, *RETRIABLE]
EVERY = [*COMPENSATABLE, *LATER]


def at(steps: Iterable[str]) -> Callable[[Case], Case]:
    """One test for each of the steps in each placement, side by side."""

    def decorated(case: Case) -> Case:
        in_both_placements = pytest.mark.parametrize("steps", ["local", "queues"])
        at_each = pytest.mark.parametrize("step", steps)
        both: Case = in_both_placements(at_each(side_by_side(case)))
        return both

    return decorated
