"""Every step that waits for a person, and two people who speak at once.

`make test` runs each story once, the sagas taking turns; `make matrix` runs all of them, in one
placement or the other, step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from runtime.app import HANDRAIL
from tests.workflows.harness.cases import CASES
from tests.workflows.harness.interventions import CROSSED, names_side_by_side
from tests.workflows.harness.trial import SOON, a_trial
from tests.workflows.running import Placement
from tests.workflows.steps import side_by_side
from tests.workflows.test_matrix import PLACEMENTS, kept, steps_of
from tests.world import World


def crossed() -> Iterator[Any]:
    turn = 0
    for number, name in enumerate(CROSSED):
        steps = {saga: _steps_for(saga, name) for saga in CASES}
        fitting = sorted(saga for saga, found in steps.items() if found)
        quick = fitting[number % len(fitting)]
        for saga in fitting:
            for n, step in enumerate(steps[saga]):
                turn += 1
                where = PLACEMENTS[turn % 2]
                chosen = saga == quick and n == number % len(steps[saga])
                yield pytest.param(
                    saga,
                    name,
                    step,
                    where,
                    marks=() if chosen else (pytest.mark.matrix,),
                    id=f"{saga}-{name}-{step}-{where}",
                )


def _steps_for(saga: str, name: str) -> list[str]:
    example, told = HANDRAIL.saga_types[saga].example(), CROSSED[name]
    steps = [step for role in told.at for step in steps_of(example)[role]]
    if told.side_by_side:
        groups = [names for names in names_side_by_side(example) if len(names) > 1]
        steps = [name for names in groups for name in names if name in steps]
    return steps


@pytest.mark.parametrize(("saga", "story", "step", "steps"), list(crossed()))
@side_by_side
async def test_of_two_people_who_speak_at_once_the_first_stands(
    world: World, saga: str, story: str, step: str, steps: Placement
) -> None:
    trial = await a_trial(
        world, saga, CASES[saga], steps, await kept(world, saga), deadline=SOON, patience=SOON
    )
    async with trial:
        await CROSSED[story].story(trial, step)
