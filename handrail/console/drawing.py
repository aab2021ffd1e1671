"""The drawing of a saga as SVG: where each box and line is. The template writes them down.

Downwards the way forward; to the right of each step, what takes it back, and upwards the way back.
What a colour says, a word in the box says too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from handrail.console.rendering import in_words
from handrail.console.saga_view import SagaView, StepView

WIDTH: Final = 440
_BOX: Final = 196
_HIGH: Final = 58
_GAP: Final = 22
_LEFT, _RIGHT = 8, WIDTH - _BOX - 8
_LONGEST: Final = 25
"""Letters that a line in a box has room for."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A step, or what takes it back. `state` names its look, `note` says it."""

    x: int
    y: int
    width: int = _BOX
    height: int = _HIGH
    name: str
    note: str
    state: str
    shape: str


@dataclass(frozen=True)
class Line:
    x1: int
    y1: int
    x2: int
    y2: int
    kind: str


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """`words` is the drawing for those who do not see it."""

    width: int
    height: int
    boxes: Sequence[Box]
    lines: Sequence[Line]
    words: str


def drawing_of(view: SagaView) -> Drawing:
    boxes: list[Box] = []
    lines: list[Line] = []
    y = _GAP
    forward: list[Sequence[Box]] = []
    back: list[Box] = []
    for group in view.groups:
        row: list[Box] = []
        for step in group:
            row.append(_forward(step, y))
            if step.undo:
                back.append(_back(step, y))
                middle = y + _HIGH // 2
                lines.append(Line(_LEFT + _BOX, middle, _RIGHT, middle, "pair"))
            y += _HIGH + _GAP
        if len(row) > 1:
            lines.append(Line(3, row[0].y, 3, row[-1].y + _HIGH, "beside"))
        forward.append(row)
        boxes += row
    for earlier, later in pairwise(one for row in forward for one in row):
        x = _LEFT + _BOX // 2
        lines.append(Line(x, earlier.y + _HIGH, x, later.y, "forward"))
    for older, newer in pairwise(back):
        x = _RIGHT + _BOX // 2
        lines.append(Line(x, newer.y, x, older.y + _HIGH, "back"))
    return Drawing(width=WIDTH, height=y, boxes=[*boxes, *back], lines=lines, words=_in_words(view))


def _forward(step: StepView, y: int) -> Box:
    note: str = step.state if step.state != "to come" or step.tries else step.role
    if step.tries > 1:
        note += f", asked {step.tries} times"
    return Box(
        x=_LEFT,
        y=y,
        name=_short(step.name),
        note=note,
        state=step.state.replace(" ", "-"),
        shape=step.role,
    )


def _back(step: StepView, y: int) -> Box:
    return Box(
        x=_RIGHT,
        y=y,
        name=_short(step.undo),
        note=f"way back: {step.back}",
        state=f"back-{step.back.replace(' ', '-')}",
        shape="compensation",
    )


def _short(name: str) -> str:
    said = in_words(name)
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"


def _in_words(view: SagaView) -> str:
    said = []
    for step in view.steps:
        line = f"{step.name}, {step.role}: {step.state}"
        if step.undo:
            line += f"; taken back by {step.undo}: {step.back}"
        said.append(line)
    return ". ".join(said)
