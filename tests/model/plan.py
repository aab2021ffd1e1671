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
SHORT: Final = ("paid alone", "payout", "corrected")
"""The sagas of three steps or fewer, of which every pair is run."""

SINGLE: Final[Sequence[Part]] = tuple(
    Part("any one", shape, ALL, 1) for shape in SHAPES if shape != "answered"
)
_GROUPS: Final = {"lost tasks": LOST, "left": LEFT, "forgotten": FORGOTTEN, "doubts": DOUBTS}
WHOLE: Final[Sequence[Part]] = (
    Part("any one", "answered", ALL, 1),
    *SINGLE,
    *(Part("any two", shape, ALL, 2) for shape in SHORT),
    *(
        Part(name, shape, kinds, 2)
        for name, kinds in _GROUPS.items()
        for shape in SHAPES
        if shape not in SHORT and (name, shape) != ("doubts", "answered")
    ),
    *(
        Part("four attempts", shape, frozenset({"terminate"}), 3)
        for shape in ("ours", "paid", "payout")
    ),
)
