"""Trend of lag: how far each subscriber was behind in the last hour, as this process saw it.

It is noted where lag is counted anyhow, for metrics and for pages, and asks nothing by itself.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from handrail.eventstore.subscriptions.lag import Lag

APART: Final = 5.0
"""Seconds between two points at the least."""
KEPT: Final = 3_600.0
"""Seconds for which a point is kept."""
_MOST_NAMES: Final = 200


@dataclass(frozen=True)
class LagPoint:
    """`ago` is in seconds."""

    ago: float
    events: int
    seconds: float


class LagTrend:
    """Of all subscribers, at most 720 points each."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points: deque[tuple[float, dict[str, tuple[int, float]]]] = deque(
            maxlen=int(KEPT / APART)
        )

    def note(self, behind: Iterable[Lag]) -> None:
        """Unless it was noted a moment ago."""
        now = self._clock()
        if self._points and now - self._points[-1][0] < APART:
            return
        while self._points and now - self._points[0][0] > KEPT:
            self._points.popleft()
        found = {one.follower: (one.events, one.seconds) for one in list(behind)[:_MOST_NAMES]}
        self._points.append((now, found))

    def of(self, subscriber: str) -> Sequence[LagPoint]:
        """The oldest first; empty where it was not seen in the last hour."""
        now = self._clock()
        return [
            LagPoint(now - at, *found[subscriber])
            for at, found in self._points
            if subscriber in found and now - at <= KEPT
        ]
