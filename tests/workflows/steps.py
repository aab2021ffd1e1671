"""The steps of the checkout, read from the saga itself: whoever adds one has it tested."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import cast

import pytest

from tests.controls import an_order
from tests.world import Placement, World, a_checkout
from workflows.checkout import saga

SAGA = saga(a_checkout(an_order()))
GROUPS = [[step.name for step in group] for group in SAGA.groups]
COMPENSATABLE = [step for group in GROUPS for step in group]
OUR_OWN = [step.name for group in SAGA.groups for step in group if not step.do.asks_outside]
PIVOT = type(SAGA.pivot).__name__
RETRIABLE = [type(command).__name__ for command in SAGA.retriable]
LATER = [PIVOT, *RETRIABLE]
EVERY = [*COMPENSATABLE, *LATER]

AT_ONCE = 8

Case = Callable[[World, Placement, str], Awaitable[None]]


def at(steps: Iterable[str]) -> Callable[[Case], Callable[..., Awaitable[None]]]:
    """One test for each of the steps in each placement. They wait for the same clock and not for
    each other: when the first of them is run, all that were selected begin.
    """

    def decorated(case: Case) -> Callable[..., Awaitable[None]]:
        begun: dict[tuple[Placement, str], asyncio.Task[None]] = {}

        @pytest.mark.parametrize("steps", ["local", "queues"])
        @pytest.mark.parametrize("step", steps)
        async def test(
            request: pytest.FixtureRequest, world: World, steps: Placement, step: str
        ) -> None:
            if not begun:
                places = asyncio.Semaphore(AT_ONCE)
                for one in _selected_with(request):
                    begun[one] = asyncio.create_task(_in_turn(places, case(world, *one)))
            await begun[steps, step]

        test.__doc__ = case.__doc__
        return test

    return decorated


def _selected_with(request: pytest.FixtureRequest) -> list[tuple[Placement, str]]:
    mine = cast("pytest.Function", request.node)
    return [
        (one.callspec.params["steps"], one.callspec.params["step"])
        for one in request.session.items
        if isinstance(one, pytest.Function)
        and one.parent is mine.parent
        and one.originalname == mine.originalname
    ]


async def _in_turn(places: asyncio.Semaphore, case: Awaitable[None]) -> None:
    async with places:
        await case
