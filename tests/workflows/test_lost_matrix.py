"""Every saga, every commit, a workflow task that is lost after it, and everything that may come.

`make test` runs each story once, the sagas and what comes meanwhile taking turns; `make thorough`
once for each other thing that may come, and `make matrix` all the rest, in both placements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

import pytest

from handrail.testing.lost_tasks import LOST, Meanwhile
from handrail.testing.running_saga import Placement
from handrail.testing.saga_matrix import PLACEMENTS
from tests.workflows.harness.cases import CASES
from tests.workflows.harness.matrix import a_case, run_trial
from tests.workflows.steps import side_by_side
from tests.world import World

RARER: Final[Mapping[str, int]] = {"nothing": 3, "reset": 2}


def lost_tasks() -> Iterator[Any]:
    """Not all of the product: every fourth case on queues, where Temporal keeps each step anyway;
    every third where nothing comes meanwhile, and every other one of the resets.
    """
    number = turn = 0
    for story, (name, lost) in enumerate(LOST.items()):
        steps = {saga: lost.steps(case) for saga, case in CASES.items()}
        fitting = sorted(saga for saga, found in steps.items() if found)
        for come, meanwhile in enumerate(lost.meanwhile):
            number += 1
            once = () if come == story % len(lost.meanwhile) else (pytest.mark.thorough,)
            quick = fitting[number % len(fitting)]
            for saga in fitting:
                for n, (step, where) in enumerate(product(steps[saga], PLACEMENTS)):
                    turn += 1
                    chosen = saga == quick and n == number % (2 * len(steps[saga]))
                    every = 4 if where == "queues" else RARER.get(meanwhile, 1)
                    if turn // 2 % every and not chosen:
                        continue
                    marks = once if chosen else pytest.mark.matrix
                    yield a_case(saga, name, meanwhile, step, where, marks=marks)


@pytest.mark.quick(3)
@pytest.mark.parametrize(("saga", "lost", "meanwhile", "step", "steps"), list(lost_tasks()))
@side_by_side
async def test_no_lost_task_leaves_a_saga_half_done(
    world: World, *, saga: str, lost: str, meanwhile: Meanwhile, step: str, steps: Placement
) -> None:
    await run_trial(world, saga, steps, LOST[lost], step, meanwhile)
