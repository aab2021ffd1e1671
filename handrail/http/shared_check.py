"""A check that is dear, and that anybody may ask for: requests share what it found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

KEPT_SECONDS: Final = 1.0
"""How old an answer may be, from when its check began; a check that takes longer is shared by all
that come meanwhile, and by no others.
"""


class SharedCheck(Generic[T]):
    """One check at a time, whatever asks for it: so a flood of requests costs the database what one
    does. It goes on where the request that began it is cancelled, for others wait for it, too.
    """

    def __init__(self, kept: float = KEPT_SECONDS) -> None:
        self._kept = kept
        self._running: asyncio.Future[T] | None = None
        self._began = float("-inf")

    async def found(self, check: Callable[[], Awaitable[T]]) -> T:
        """What `check` finds, or found for another request. Raises what it raises, which is kept as
        long.
        """
        running = self._running
        if running is None or (running.done() and time.monotonic() - self._began > self._kept):
            self._began = time.monotonic()
            running = self._running = asyncio.ensure_future(check())
        return await asyncio.shield(running)
