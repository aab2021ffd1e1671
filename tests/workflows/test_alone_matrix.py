"""Every step that asks another company, which does it, while our own books hear nothing.

`make test` runs each story once, the sagas taking turns; `make matrix` runs all of them in both
placements.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from handrail.testing.alone import ALONE
from handrail.testing.running_saga import Placement
from handrail.testing.saga_matrix import PLACEMENTS
from tests.workflows.harness.cases import CASES
from tests.workflows.harness.matrix import a_case, run_trial
from tests.workflows.steps import side_by_side
from tests.world import World


def alone() -> Iterator[Any]:
    for number, name in enumerate(ALONE):
        steps = {saga: ALONE[name].steps(case) for saga, case in CASES.items()}
        fitting = sorted(saga for saga, found in steps.items() if found)
        quick = fitting[number % len(fitting)]
        for saga in fitting:
            for n, (step, where) in enumerate(product(steps[saga], PLACEMENTS)):
                chosen = saga == quick and n == number % (2 * len(steps[saga]))
                marks = () if chosen else pytest.mark.matrix
                yield a_case(saga, name, step, where, marks=marks)


@pytest.mark.quick(2)
@pytest.mark.parametrize(("saga", "story", "step", "steps"), list(alone()))
@side_by_side
async def test_what_a_company_did_alone_is_known_or_let_go_of(
    world: World, saga: str, story: str, step: str, steps: Placement
) -> None:
    await run_trial(world, saga, steps, ALONE[story], step)
