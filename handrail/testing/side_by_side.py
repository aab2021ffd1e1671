"""Runs tests side by side that mostly wait: all that were selected begin with the first of them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import pytest

AT_ONCE: Final = 8

Case = Callable[..., Awaitable[None]]

_begun: dict[str, asyncio.Task[None]] = {}


def side_by_side(case: Case) -> Case:
    """A test that mostly waits, and uses nothing another one uses.

    Its first parameter is the environment, a fixture of the session; the others are parameters.
    All of an environment that were selected begin when the first of them is run; each then tells
    how it went. Where processes of pytest-xdist share the tests, those of its file begin: the
    process that runs a file (`--dist loadfile`) is not the one that runs another.
    """
    asked = inspect.signature(case)
    environment = next(iter(asked.parameters))

    async def test(request: pytest.FixtureRequest, **given: Any) -> None:
        if request.node.nodeid not in _begun:
            _begin(_of_this_process(request), environment, given[environment])
        await _begun[request.node.nodeid]

    requested = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY)
    vars(test)["__signature__"] = asked.replace(parameters=[*asked.parameters.values(), requested])
    vars(test)["case"] = case
    vars(test)["environment"] = environment
    test.__doc__ = case.__doc__
    return test


async def all_others_have_ended() -> None:
    """For a test that changes what all of them run on."""
    if _begun:
        await asyncio.wait(_begun.values())


def _of_this_process(request: pytest.FixtureRequest) -> Iterable[pytest.Item]:
    """Every process of pytest-xdist has collected all tests, and runs some of them."""
    items = request.session.items
    if not hasattr(request.config, "workerinput"):
        return items
    return [item for item in items if item.path == request.path]


def _begin(items: Iterable[pytest.Item], environment: str, opened: Any) -> None:
    places = asyncio.Semaphore(AT_ONCE)
    for item in items:
        if not isinstance(item, pytest.Function) or item.nodeid in _begun:
            continue
        if getattr(item.obj, "environment", None) == environment:
            params = item.callspec.params if hasattr(item, "callspec") else {}
            story = _in_turn(places, item.obj.case(opened, **params))
            _begun[item.nodeid] = asyncio.create_task(story)


async def _in_turn(places: asyncio.Semaphore, story: Awaitable[None]) -> None:
    async with places:
        await story
