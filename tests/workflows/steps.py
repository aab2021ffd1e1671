"""The steps of the checkout, read from the saga itself: whoever adds one has it tested."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable

import pytest

from tests.controls import an_order
from tests.workflows.ordered import a_checkout
from tests.world import World
from workflows.checkout import saga

SAGA = saga(a_checkout(an_order()))
GROUPS = [[step.name for step in group] for group in SAGA.groups]
COMPENSATABLE = [step for group in GROUPS for step in group]
OUR_OWN = [step.name for group in SAGA.groups for step in group if not step.do.asks_outside]
PIVOT = type(SAGA.pivot).__name__
RETRIABLE = [duty.name for group in SAGA.duties for duty in group]
LATER = [PIVOT, *RETRIABLE]
EVERY = [*COMPENSATABLE, *LATER]

AT_ONCE = 8

Case = Callable[..., Awaitable[None]]

_begun: dict[str, asyncio.Task[None]] = {}


def side_by_side(case: Case) -> Case:
    """A test that mostly waits, and uses nothing another one uses.

    All that were selected begin when the first of them is run; each then tells how it went.
    """

    async def test(request: pytest.FixtureRequest, world: World, **_: object) -> None:
        if not _begun:
            _begin(request.session.items, world)
        await _begun[request.node.nodeid]

    asked = inspect.signature(case)
    requested = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY)
    vars(test)["__signature__"] = asked.replace(parameters=[*asked.parameters.values(), requested])
    vars(test)["case"] = case
    test.__doc__ = case.__doc__
    return test


def at(steps: Iterable[str]) -> Callable[[Case], Case]:
    """One test for each of the steps in each placement, side by side."""

    def decorated(case: Case) -> Case:
        in_both_placements = pytest.mark.parametrize("steps", ["local", "queues"])
        at_each = pytest.mark.parametrize("step", steps)
        both: Case = in_both_placements(at_each(side_by_side(case)))
        return both

    return decorated


async def all_others_have_ended() -> None:
    """For a test that changes what all of them run on."""
    if _begun:
        await asyncio.wait(_begun.values())


def _begin(items: Iterable[pytest.Item], world: World) -> None:
    places = asyncio.Semaphore(AT_ONCE)
    for item in items:
        if isinstance(item, pytest.Function) and (case := getattr(item.obj, "case", None)):
            params = item.callspec.params if hasattr(item, "callspec") else {}
            story = _in_turn(places, case(world, **params))
            _begun[item.nodeid] = asyncio.create_task(story)


async def _in_turn(places: asyncio.Semaphore, story: Awaitable[None]) -> None:
    async with places:
        await story
