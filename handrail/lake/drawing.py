"""Charts as SVG: scales with round steps, and shapes that the page's style sheet colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 860
_LETTER: Final = 7.0  # about the width of a letter
COLOURS: Final = 8
"""How many colours the style sheet has, `c0` and so on."""


@dataclass(frozen=True)
class Scale:
    """From values to places along an axis."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def steps(high: float, least: float = 0.0, about: int = 5) -> list[float]:
    """Round numbers from 0 to at least `high`: 1, 2 or 5 times a power of ten apart, and at
    `least` so much.
    """
    if high <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(high / about))
    step = next(power * one for one in (1, 2, 5, 10) if power * one * about >= high)
    step = max(step, least)
    return [step * number for number in range(math.ceil(high / step - 1e-9) + 1)]


def plain(value: float) -> str:
    """12,500 and 0.25: as many digits as it needs."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}".rstrip("0")


def svg(height: float, title: str, *parts: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def label(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(said)}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def bar(x: float, y: float, width: float, height: float, *, colour: int, said: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"'
        f' rx="2" class="c{colour % COLOURS}"><title>{escape(said)}</title></rect>'
    )


def curve(points: Sequence[tuple[float, float]], kind: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" class="{kind}"/>'


def dot(x: float, y: float, kind: str, said: str, radius: float = 3.2) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{kind}">'
        f"<title>{escape(said)}</title></circle>"
    )


def band(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *reversed(lower)])
    return f'<polygon points="{path}" class="band"/>'


def legend(names: Sequence[str], x: float, y: float) -> tuple[str, float]:
    """In as many lines as it takes; answers the place below it."""
    parts, left = [], x
    for number, name in enumerate(names):
        width = 30 + _LETTER * len(name)
        if left + width > WIDTH and left > x:
            left, y = x, y + 20
        square = f'width="10" height="10" rx="2" class="c{number % COLOURS}"'
        parts.append(f'<rect x="{left:.1f}" y="{y - 9:.1f}" {square}/>')
        parts.append(label(left + 15, y, name))
        left += width
    return "".join(parts), y + 20


def room_for(names: Sequence[str], most: float = 240) -> float:
    """Between the left edge and an axis with these names."""
    return min(16 + _LETTER * max(map(len, names), default=0), most)
