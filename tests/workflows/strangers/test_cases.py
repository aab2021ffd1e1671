"""A case that is declared wrongly is refused by its first run, and says what is missing."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from handrail.testing.app_case import case_of, fresh_names
from handrail.testing.environment import Environment
from handrail.testing.saga_matrix import matrix
from handrail.testing.trial import undisturbed
from tests.workflows.strangers.business import CASES
from tests.workflows.strangers.team.club import PLAN, Concert

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
    with pytest.raises(AssertionError, match=r"Depart is .* and should be "):
        await failing.run(strangers, {"item-EXPEDITION:Depart": {"taken": False}})


def a_concert() -> Concert:
    return Concert(id=f"concert-{uuid4().hex}")


def test_a_step_that_the_saga_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match="names the step HireBnad in refusals, which the saga"):
        case_of(PLAN, inputs=a_concert, aggregates={}, refusals={"HireBnad": lambda asked: asked})


def test_the_texts_in_which_two_inputs_differ_are_the_ids_of_a_run() -> None:
    one, other = Concert(id="concert-1"), Concert(id="concert-2")
    assert fresh_names(one, other) == {"concert-1": "ID"}


def test_inputs_without_fresh_ids_are_refused() -> None:
    same = Concert(id="concert-1")
    with pytest.raises(ValueError, match=r"inputs\(\) made the same Concert twice: give each ids"):
        fresh_names(same, same)
