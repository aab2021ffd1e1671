"""Background tasks: begun beside the work of a process, cancelled and awaited once that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any


@contextlib.asynccontextmanager
async def background_tasks(
    *work: Coroutine[Any, Any, object],
) -> AsyncIterator[Sequence[asyncio.Task[object]]]:
    """Run all of `work` as long as the block lasts. What a task raises, it alone ends with."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than that; no seconds let other tasks run, too."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def is_cancelled() -> bool:
    """Whether the current task is to end. A statement that was cancelled may end in an ordinary
    error; a loop that goes on after errors sees here that it must not.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
