"""What a saga is, as a value: it can be read, drawn, tested and run, and it runs nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from domain.kernel import Command


@dataclass(frozen=True, kw_only=True)
class Step:
    """A compensatable step: something that can be taken back.

    It is asked again and again until `deadline` (None: the run's), and then its outcome is unknown.
    On an unknown outcome it is taken back with the rest, or parked until a person decides.
    """

    do: Command
    undo: Command
    deadline: timedelta | None = None
    on_unknown: Literal["compensate", "park"] = "compensate"

    @property
    def name(self) -> str:
        return type(self.do).__name__


@dataclass(frozen=True)
class Parallel:
    """Compensatable steps that do not depend on each other: done, and taken back, side by side."""

    steps: tuple[Step, ...]

    def __init__(self, *steps: Step) -> None:
        object.__setattr__(self, "steps", steps)


@dataclass(frozen=True, kw_only=True)
class Saga:
    """Promises that can be taken back, one pivot that decides, and duties that only get done.

    The pivot may be refused, and is the last that may; after it there is no way back. No other
    order can be written. `shape` changes whenever the steps do.

    Raises ValueError when two steps have the same name, because their keys would be the same.
    """

    compensatable: Sequence[Step | Parallel]
    pivot: Command
    retriable: Sequence[Command] = ()
    shape: int = 1

    def __post_init__(self) -> None:
        if twice := {name for name in self.names if self.names.count(name) > 1}:
            raise ValueError(f"two steps are named {', '.join(sorted(twice))}")

    @property
    def groups(self) -> Sequence[tuple[Step, ...]]:
        """The compensatable steps, those that run side by side together."""
        return [one.steps if isinstance(one, Parallel) else (one,) for one in self.compensatable]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all steps, in the order in which they are asked."""
        promises = [step.name for group in self.groups for step in group]
        rest = [type(command).__name__ for command in (self.pivot, *self.retriable)]
        return (*promises, *rest)
