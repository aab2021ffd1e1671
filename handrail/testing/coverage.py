"""Saga coverage: which failures ran at which steps, and how the sagas ended.

A cell is one step, one failure and one ending. It is *run* once a case ran that may end so, *not
applicable* where no case of the matrix may, and otherwise *never run*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from handrail.sagas.events import Ending
from handrail.testing.failure import ENDINGS
from handrail.testing.saga_matrix import MatrixCase

State = Literal["run", "not applicable", "never run"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Entry:
    """A case of the matrix, as plain data that travels between processes."""

    id: str
    saga: str
    step: str
    failure: str
    endings: tuple[Ending, ...]
    why_not: str

    @classmethod
    def of(cls, case: MatrixCase) -> Entry:
        failure = case.failure.name
        return cls(case.id, case.saga, case.step, failure, case.endings, case.why_not)


@dataclass(frozen=True)
class Place:
    saga: str
    step: str
    failure: str
    ending: Ending


@dataclass(frozen=True, kw_only=True)
class Cell:
    """`cases` may end so, of which `ran` were run, and `seen` did end so.

    `why_not` says why a cell is not applicable, and is empty where it is.
    """

    cases: int = 0
    ran: int = 0
    seen: int = 0
    why_not: str = ""

    @property
    def state(self) -> State:
        if self.cases == 0:
            return "not applicable"
        return "run" if self.ran else "never run"


@dataclass
class SagaCoverage:
    """Collects what ran of the matrix of some sagas.

    `matrix` are all their cases by id, the ones that are not applicable included; `endings` are
    those of the cases that ran.
    """

    matrix: dict[str, Entry] = field(default_factory=dict)
    endings: dict[str, Ending] = field(default_factory=dict)

    @classmethod
    def of(cls, cases: Iterable[MatrixCase]) -> SagaCoverage:
        coverage = cls()
        coverage.add(cases)
        return coverage

    def add(self, cases: Iterable[MatrixCase]) -> None:
        self.matrix |= {entry.id: entry for entry in map(Entry.of, cases)}

    def data(self) -> dict[str, Any]:
        """Of this process, for another one to `merge`."""
        return {
            "matrix": [list(vars(entry).values()) for entry in self.matrix.values()],
            "endings": self.endings,
        }

    def merge(self, data: Mapping[str, Any]) -> None:
        for id_, saga, step, failure, endings, why_not in data["matrix"]:
            self.matrix[id_] = Entry(id_, saga, step, failure, tuple(endings), why_not)
        self.endings |= data["endings"]

    def ran(self, case: str, ending: Ending) -> None:
        """Raises LookupError for the id of a case that the matrix does not have."""
        if case not in self.matrix:
            raise LookupError(f"the matrix has no case {case}")
        self.endings[case] = ending

    def cells(self) -> Mapping[Place, Cell]:
        """Of all endings, in the order of the matrix."""
        found: dict[tuple[str, str, str], list[Entry]] = {}
        for one in self.matrix.values():
            found.setdefault((one.saga, one.step, one.failure), []).append(one)
        return {
            Place(*where, ending): self._cell(cases, ending)
            for where, cases in found.items()
            for ending in ENDINGS
        }

    def _cell(self, cases: Sequence[Entry], ending: Ending) -> Cell:
        may_end_so = [one for one in cases if ending in one.endings]
        if not may_end_so:
            return Cell(why_not=_why_not(cases))
        ran = [self.endings[one.id] for one in may_end_so if one.id in self.endings]
        return Cell(cases=len(may_end_so), ran=len(ran), seen=ran.count(ending))

    @property
    def sagas(self) -> Sequence[str]:
        return list(dict.fromkeys(one.saga for one in self.matrix.values()))

    @property
    def percent(self) -> float:
        """Of the applicable cells, those that are run; 100 where none is applicable."""
        return percent_run(self.cells().values())

    def never_run(self) -> Sequence[Place]:
        return [place for place, cell in self.cells().items() if cell.state == "never run"]


def percent_run(cells: Iterable[Cell]) -> float:
    applicable = [cell for cell in cells if cell.cases]
    run = sum(cell.ran > 0 for cell in applicable)
    return 100 * run / len(applicable) if applicable else 100.0


def _why_not(cases: Sequence[Entry]) -> str:
    """Of an ending that none of the cases may have: at one step some have another ending."""
    endings = {ending for one in cases for ending in one.endings}
    if not endings:
        return cases[0].why_not
    return "it ends " + " or ".join(one for one in ENDINGS if one in endings)
