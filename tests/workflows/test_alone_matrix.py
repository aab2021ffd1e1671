"""Every step that asks another company, which does it, while our own books hear nothing.

`make test` runs each story once, the sagas taking turns; `make matrix` runs all of them in both
placements.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from handrail.sagas.definition import Saga
from runtime.app import HANDRAIL
from tests.workflows.harness.alone import ALONE
from tests.workflows.harness.cases import CASES
from tests.workflows.harness.trial import PATIENT, SOON, a_trial
from tests.workflows.running import Placement
from tests.workflows.steps import side_by_side
from tests.workflows.test_matrix import PLACEMENTS, kept, steps_of
from tests.world import World


def alone() -> Iterator[Any]:
    for number, name in enumerate(ALONE):
        steps = {saga: _steps_for(saga, name) for saga in CASES}
        fitting = sorted(saga for saga, found in steps.items() if found)
        quick = fitting[number % len(fitting)]
        for saga in fitting:
            for n, (step, where) in enumerate(product(steps[saga], PLACEMENTS)):
                chosen = saga == quick and n == number % (2 * len(steps[saga]))
                yield pytest.param(
                    saga,
                    name,
                    step,
                    where,
                    marks=() if chosen else (pytest.mark.matrix,),
                    id=f"{saga}-{name}-{step}-{where}",
                )


def _steps_for(saga: str, name: str) -> list[str]:
    example, told = HANDRAIL.saga_types[saga].example(), ALONE[name]
    asked = [step for role in told.at for step in steps_of(example)[role]]
    steps = [step for step in asked if step in _asking_outside(example)]
    if told.corrected:
        steps = [step for step in steps if step in CASES[saga].corrections]
    return steps


def _asking_outside(saga: Saga) -> set[str]:
    promises = [(step.name, step.do) for group in saga.groups for step in group]
    later = [saga.deciding, *(duty for group in saga.duties for duty in group)]
    asked = [*promises, *((duty.name, duty.do) for duty in later)]
    return {name for name, do in asked if do.asks_outside}


@pytest.mark.parametrize(("saga", "story", "step", "steps"), list(alone()))
@side_by_side
async def test_what_a_company_did_alone_is_known_or_let_go_of(
    world: World, saga: str, story: str, step: str, steps: Placement
) -> None:
    told = ALONE[story]
    limit = SOON if told.impatient else PATIENT
    trial = await a_trial(
        world, saga, CASES[saga], steps, await kept(world, saga), deadline=limit, patience=limit
    )
    async with trial:
        await told.story(trial, step)
