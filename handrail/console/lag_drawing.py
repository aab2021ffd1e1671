"""The drawing of a trend of lag as SVG: one line over the last hour, and what it says in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from handrail.http.lag_trend import KEPT, LagPoint

WIDTH: Final = 120
HEIGHT: Final = 24
_FEWEST: Final = 2


@dataclass(frozen=True)
class Trend:
    """`points` are those of a polyline; `words` is the drawing for those who do not see it."""

    points: str
    words: str


def trend_of(found: Sequence[LagPoint]) -> Trend | None:
    """None where there is no line yet: it takes two points."""
    if len(found) < _FEWEST:
        return None
    most = max(one.events for one in found) or 1
    points = " ".join(
        f"{WIDTH * (1 - one.ago / KEPT):.1f},{(HEIGHT - 1) - (HEIGHT - 2) * one.events / most:.1f}"
        for one in found
    )
    first, last = found[0], found[-1]
    words = (
        f"{first.events} events behind {first.ago / 60:.0f} min ago, at most {most}, now"
        f" {last.events}"
    )
    return Trend(points, words)
