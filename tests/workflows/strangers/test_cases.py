"""A case that is declared wrongly is refused by its first run, and says what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handrail.testing.environment import Environment
from handrail.testing.saga_matrix import matrix
from handrail.testing.trial import undisturbed
from tests.workflows.strangers.business import CASES

CASE = CASES["pivot_only"]


async def test_an_aggregate_that_the_case_forgets_is_named(strangers: Environment) -> None:
    with pytest.raises(AssertionError, match="the saga writes to item: name them in the aggreg"):
        await undisturbed(strangers, replace(CASE, aggregates={}))


async def test_what_is_left_over_makes_a_case_fail(strangers: Environment) -> None:
    [failing] = [
        one
        for one in matrix("pivot_only", CASE, placements=["local"])
        if one.id == "pivot_only-fails_once-Depart-local"
    ]
    with pytest.raises(AssertionError, match="is not"):
        await failing.run(strangers, {"item-EXPEDITION:Depart": {"taken": False}})
