"""Every saga in two, three and four attempts, each terminated somewhere else.

`make test` runs each story once, the sagas taking turns. `make matrix` runs each at every step of
every saga: step by step with two, three or four attempts, and in one placement or the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from handrail.testing.attempts import (
    ATTEMPTS,
    Attempts,
)
from handrail.testing.running_saga import Placement
from handrail.testing.saga_matrix import PLACEMENTS
from tests.workflows.harness.cases import CASES
from tests.workflows.harness.matrix import a_case, run_trial
from tests.workflows.steps import side_by_side
from tests.world import World


def attempts() -> Iterator[Any]:
    """Not all of the product: numbers of attempts and placements take turns, step by step."""
    turn = 0
    for number, (name, told) in enumerate(ATTEMPTS.items()):
        steps = {saga: ATTEMPTS[name].steps(case) for saga, case in CASES.items()}
        fitting = sorted(saga for saga, found in steps.items() if found)
        quick = fitting[number % len(fitting)]
        for saga in fitting:
            for step in steps[saga]:
                turn += 1
                for times in _numbers(told, turn):
                    where = PLACEMENTS[(turn + times) % 2]
                    is_last = saga == quick and step == steps[saga][-1]
                    is_quick = is_last and times == _numbers(told, turn)[-1]
                    marks = () if is_quick else pytest.mark.matrix
                    yield a_case(saga, name, step, times, where, marks=marks)


def _numbers(told: Attempts, turn: int) -> list[int]:
    """Of attempts: one and the most at one step, all between at the next."""
    numbers = list(range(told.least, told.most + 1))
    return numbers[turn % 2 :: 2] or numbers


@pytest.mark.quick(3)
@pytest.mark.parametrize(("saga", "story", "step", "times", "steps"), list(attempts()))
@side_by_side
async def test_no_number_of_attempts_leaves_a_saga_half_done(
    world: World, *, saga: str, story: str, step: str, times: int, steps: Placement
) -> None:
    await run_trial(world, saga, steps, ATTEMPTS[story], step, times)
