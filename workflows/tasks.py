"""Tasks inside a workflow that Temporal's cancellation cannot tear."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def side_by_side(stories: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """To the end of all of them: a workflow may not fail while one of its steps is under way."""
    tasks = [asyncio.create_task(story) for story in stories]
    await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]


async def uninterrupted(story: Coroutine[Any, Any, T]) -> T:
    """Await to the end, however often this task is cancelled meanwhile.

    One `asyncio.shield` is not enough: the await it protects ends, and the workflow with it, while
    the work goes on for nobody.
    """
    task = asyncio.create_task(story)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if (me := asyncio.current_task()) is not None:
                me.uncancel()
    return task.result()
