"""Periodic tasks at the database: retention, retries of what is parked, renewal of leases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from handrail.background import is_cancelled
from handrail.eventstore.identity import refused_in


async def run_periodically(
    work: Callable[[], Awaitable[object]], every: float, log: Any, failed: str
) -> None:
    """Run `work` at once, and `every` seconds after its end again, until the task is cancelled.

    An error is logged as `failed`, and the next round may do better. What the store refuses, its
    pool logs once.
    """
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # the next round may find the database
            if not refused_in(error):
                log.warning(failed, error=repr(error))
        if is_cancelled():
            raise asyncio.CancelledError
        await asyncio.sleep(every)
