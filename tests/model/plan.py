"""Which schedules are run: of which saga, with how many disturbances of which kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.model.explore import Found, explore
from tests.model.moves import ALL, Rules
from tests.model.shapes import SHAPES


@dataclass(frozen=True)
class Part:
    name: str
    shape: str
    kinds: frozenset[str]
    disturbances: int

    def run(self, enough: int = 1) -> Found:
        return explore(SHAPES[self.shape], self.disturbances, Rules(self.kinds), enough=enough)


LOST: Final = frozenset({"die", "again", "cancel", "temporal", "order", "early"})
LEFT: Final = frozenset({"terminate", "give up", "cancel"})
FORGOTTEN: Final = frozenset({"zombie", "reset", "cancel"})
DOUBTS: Final = frozenset({"give up", "refuse", "temporal", "die"})
SINGLE: Final[Sequence[Part]] = tuple(
    Part("any one", shape, ALL, 1) for shape in SHAPES if shape != "answered"
)
_FEW: Final = ("ours", "paid", "paid alone", "beside", "parking", "last two")
_PAIRS: Final = (
    ("left", LEFT, _FEW),
    ("forgotten", FORGOTTEN, _FEW),
    ("doubts", DOUBTS, ("paid", "paid alone")),
    ("lost tasks", LOST, (*_FEW, "answered", "corrected")),
)
WHOLE: Final[Sequence[Part]] = (
    Part("any two", "payout", ALL, 2),
    Part("four attempts", "ours", frozenset({"terminate"}), 3),
    Part("four attempts", "payout", frozenset({"terminate"}), 3),
    *(Part(name, shape, kinds, 2) for name, kinds, shapes in _PAIRS for shape in shapes),
    Part("any one", "answered", ALL, 1),
    *SINGLE,
)
"""The longest first: of two processes, none waits for the other in the end."""
