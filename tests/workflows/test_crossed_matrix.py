"""Every step that waits for a person, and two people who speak at once.

`make test` runs each story once, the sagas taking turns; `make matrix` runs all of them, in one
placement or the other, step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from handrail.testing.interventions import CROSSED
from handrail.testing.running_saga import Placement
from handrail.testing.saga_matrix import PLACEMENTS
from tests.workflows.harness.cases import CASES
from tests.workflows.harness.matrix import a_case, run_trial
from tests.workflows.steps import side_by_side
from tests.world import World


def crossed() -> Iterator[Any]:
    turn = 0
    for number, name in enumerate(CROSSED):
        steps = {saga: CROSSED[name].steps(case) for saga, case in CASES.items()}
        fitting = sorted(saga for saga, found in steps.items() if found)
        quick = fitting[number % len(fitting)]
        for saga in fitting:
            for n, step in enumerate(steps[saga]):
                turn += 1
                where = PLACEMENTS[turn % 2]
                chosen = saga == quick and n == number % len(steps[saga])
                marks = () if chosen else pytest.mark.matrix
                yield a_case(saga, name, step, where, marks=marks)


@pytest.mark.quick(2)
@pytest.mark.parametrize(("saga", "story", "step", "steps"), list(crossed()))
@side_by_side
async def test_of_two_people_who_speak_at_once_the_first_stands(
    world: World, saga: str, story: str, step: str, steps: Placement
) -> None:
    await run_trial(world, saga, steps, CROSSED[story], step)
