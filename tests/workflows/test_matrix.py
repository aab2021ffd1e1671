"""Every saga, every step, everything that can go wrong with it.

Each failure runs once, the sagas taking turns: half of them by `make test`, the others by `make
thorough`. `make matrix` runs all of them at every step in both placements, and the pairs: something
goes wrong on the way back, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from handrail.testing.failures import FAILURES
from handrail.testing.pairs import PAIRS
from handrail.testing.running_saga import Placement
from handrail.testing.saga_matrix import PLACEMENTS
from runtime.app import HANDRAIL
from tests.workflows.harness.cases import CASES
from tests.workflows.harness.matrix import a_case, run_trial
from tests.workflows.steps import side_by_side
from tests.world import World

SAGAS = HANDRAIL.saga_types


def single_failures() -> Iterator[Any]:
    """Each failure is quick in one saga, at one of its steps and in one placement, in turn."""
    for number, (failure, told) in enumerate(FAILURES.items()):
        fitting = {name: steps for name, case in CASES.items() if (steps := told.steps(case))}
        if not fitting:
            continue
        quick = sorted(fitting)[number % len(fitting)]
        for name, steps in fitting.items():
            for n, (step, where) in enumerate(product(steps, PLACEMENTS)):
                chosen = name == quick and n == number % (2 * len(steps))
                marks = () if chosen else pytest.mark.matrix
                yield a_case(name, failure, step, where, marks=marks)


def pairs() -> Iterator[Any]:
    for (name, case), (pair, told) in product(CASES.items(), PAIRS.items()):
        for first in told.steps(case):
            for undone in told.variants(case, first):
                for where in PLACEMENTS:
                    yield a_case(name, pair, f"{first}+{undone}", where)


def test_every_saga_there_is_goes_through_the_harness() -> None:
    assert set(CASES) == set(SAGAS)


@pytest.mark.quick(16)
@pytest.mark.parametrize(("saga", "failure", "step", "steps"), list(single_failures()))
@side_by_side
async def test_no_failure_leaves_a_saga_half_done(
    world: World, saga: str, failure: str, step: str, steps: Placement
) -> None:
    await run_trial(world, saga, steps, FAILURES[failure], step)


@pytest.mark.parametrize(("saga", "failure", "step", "steps"), list(pairs()))
@side_by_side
async def test_no_failure_on_the_way_back_leaves_a_saga_half_done(
    world: World, saga: str, failure: str, step: str, steps: Placement
) -> None:
    await run_trial(world, saga, steps, PAIRS[failure], *step.split("+"))
