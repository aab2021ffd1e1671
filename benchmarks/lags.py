"""How long single events take to show in a read model, by the server's clock."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

from handrail.eventstore.pool import Connection

_LOOKS_EVERY: Final = 0.008
"""Seconds: half of it is, on average, in every lag."""
_APART: Final = 0.1
"""Seconds between two samples at most."""
_NEWEST: Final = (
    "SELECT stream, version, position FROM events WHERE type = 'StepDone' AND position > %s"
    " ORDER BY position DESC LIMIT 1"
)
_SEEN: Final = (
    "SELECT e.stream, extract(epoch FROM clock_timestamp() - e.recorded_at) * 1000"
    " FROM unnest(%s::text[], %s::bigint[]) AS w (stream, version)"
    " JOIN events e ON e.stream = w.stream AND e.version = w.version"
    " JOIN {board} b ON b.saga = substr(w.stream, 6) AND b.version >= w.version"
)


class Lags:
    """`found` are milliseconds.

    `passed` tells of a position whether whoever reads is behind it, and will never see it.
    """

    def __init__(
        self, connection: Connection, board: str, passed: Callable[[int], bool], *, after: int
    ) -> None:
        self.found: list[float] = []
        self.waiting: dict[str, tuple[int, int]] = {}
        self._connection = connection
        self._seen = _SEEN.format(board=board)
        self._passed = passed
        self._after = after
        self._moments = random.Random(after)
        self._next = 0.0

    async def look(self, *, more: bool) -> None:
        """With `more`, also wait for the newest event from now on, where it is time for that."""
        if more and time.monotonic() >= self._next:
            answer = await self._connection.execute(_NEWEST, (self._after,))
            if row := await answer.fetchone():
                stream, version, position = row
                self.waiting.setdefault(stream, (version, position))
            self._next = time.monotonic() + self._moments.uniform(0, _APART)
        if self.waiting:
            gone = [one for one, (_, at) in self.waiting.items() if self._passed(at)]
            versions = [version for version, _ in self.waiting.values()]
            answer = await self._connection.execute(self._seen, (list(self.waiting), versions))
            for stream, lag in await answer.fetchall():
                self.found.append(float(lag))
                del self.waiting[stream]
            for stream in gone:
                self.waiting.pop(stream, None)
        await asyncio.sleep(_LOOKS_EVERY)
