"""Tasks inside a workflow that Temporal's cancellation cannot tear."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from temporalio import workflow

T = TypeVar("T")


async def side_by_side(stories: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """To the end of all of them, or to the first mistake, which may not hide behind one that waits.

    What steps fail of is their result. What is raised is a mistake in code, which fails the task of
    the workflow, or says that the attempt is over: then nothing that is under way can land.
    """
    tasks = [asyncio.create_task(story) for story in stories]
    if tasks:
        await workflow.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        if task.done() and (mistake := task.exception()):
            raise mistake
    return [task.result() for task in tasks]


async def run_uncancellable(story: Coroutine[Any, Any, T]) -> T:
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
