"""Which schedules of a plan and its returns are run, as `tests/model/plan.py` says of sagas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.model.explore import Found
from tests.model.plans.explore import explore
from tests.model.plans.moves import ALL


@dataclass(frozen=True)
class Part:
    """`shape` are the returns."""

    name: str
    shape: str
    kinds: frozenset[str]
    disturbances: int

    def run(self) -> Found:
        return explore(self.shape, self.kinds, self.disturbances)


SINGLE: Final[Sequence[Part]] = (
    Part("any one", "all of it", ALL, 1),
    Part("any one", "two returns", ALL, 1),
)
_PAIRS: Final = (
    ("passing", frozenset({"switch", "time"})),
    ("left", frozenset({"end return"})),
    ("without a collector", frozenset({"switch", "end collector"})),
    ("stopped", frozenset({"settle", "cancel", "temporal"})),
)
WHOLE: Final[Sequence[Part]] = (
    Part("any two", "all of it", ALL, 2),
    *(Part(name, "two returns", kinds, 2) for name, kinds in _PAIRS),
    *SINGLE,
)
