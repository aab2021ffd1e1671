"""A queue of our own before what only few requests may use at a time.

A request that waits here waits for other requests of this process: that says nothing about the
database behind them, and is never reported as its silence. But where the database is silent to the
one in front, those that have waited meanwhile need not find out for themselves, one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

from handrail.http.problems import Problem, unavailable

_LONGEST: Final = 20.0
"""Seconds that a request waits for its turn: fewer than most clients wait for an answer."""
_MOST: Final = 1000
"""How many may wait: who comes later would not have a turn in time."""


class Turns:
    """`at_once` have their turn at the same time, and the others in the order they come in."""

    def __init__(self, at_once: int, *, longest: float = _LONGEST) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._longest = longest
        self._silence: Problem | None = None
        self._silent_at = self._answered_at = 0.0
        self.asking = 0
        """How many have their turn, or wait for it."""

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Raises Problem where the queue is too long, and where the database was silent to all who
        had their turn since this one came.
        """
        came = monotonic()
        if self.asking >= _MOST:
            raise _too_busy()
        self.asking += 1
        try:
            await self._wait()
            try:
                if self._silence and self._silent_at > came > self._answered_at:
                    raise self._silence
                yield
                self._answered_at = monotonic()
            except Problem as problem:
                self._note(problem)
                raise
            finally:
                self._free.release()
        finally:
            self.asking -= 1

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._longest):
                await self._free.acquire()
        except TimeoutError:
            raise _too_busy() from None

    def _note(self, problem: Problem) -> None:
        if problem.slug != "database-unavailable":
            self._answered_at = monotonic()
        elif problem is not self._silence:
            self._silence, self._silent_at = problem, monotonic()


def _too_busy() -> Problem:
    said = "too many requests wait for their turn in this process"
    return unavailable("too-busy", said)
