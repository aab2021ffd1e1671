"""The cases of a matrix of failures, and the trial that each of them is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from handrail.testing.books import Books
from handrail.testing.failure import Failure
from handrail.testing.running_saga import Placement
from handrail.testing.trial import a_trial, undisturbed
from tests.workflows.harness.cases import CASES
from tests.world import World

_kept: dict[str, asyncio.Task[Books]] = {}


def a_case(*values: Any, marks: Any = pytest.mark.matrix) -> Any:
    """What a test is called with, named by it; `make matrix` alone runs it, unless other marks say
    so.
    """
    return pytest.param(*values, marks=marks, id="-".join(str(one) for one in values))


async def run_trial(
    world: World, saga: str, steps: Placement, failure: Failure, *arguments: Any
) -> None:
    """One run of the saga in which the failure happens: its story asserts what the stores hold."""
    trial = await a_trial(
        world,
        CASES[saga],
        steps,
        await kept(world, saga),
        deadline=failure.deadline,
        patience=failure.patience,
        task_timeout=failure.task,
    )
    async with trial:
        await failure.story(trial, *arguments)


async def kept(world: World, saga: str) -> Books:
    """What an undisturbed run leaves: it is run once."""
    if saga not in _kept:
        _kept[saga] = asyncio.create_task(undisturbed(world, CASES[saga]))
    return await _kept[saga]
