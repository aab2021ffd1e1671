"""Runs a command with the activity that serves it, found by name as a worker finds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from handrail.kernel import Command
from handrail.sagas.step_keys import Answer, StepContext

NAME: Final = "__temporal_activity_definition"


class Run(Protocol):
    async def __call__(self, command: Command, context: StepContext) -> Answer: ...


def runner_of(activities: Sequence[Callable[..., Any]]) -> Run:
    by_name = {getattr(served, NAME).name: served for served in activities}

    async def run(command: Command, context: StepContext) -> Answer:
        answer: Answer = await by_name[type(command).__name__](command, context)
        return answer

    return run
