"""What a saga is, as a value: it can be read, drawn, tested and run, and it runs nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Generic, Literal, TypeVar

from handrail.kernel import Command, context_of
from handrail.sagas.events import Repeats

OnFailure = Literal["compensate", "park"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A compensatable step: something that can be taken back.

    It is asked until its `deadline` (None: the run's), at most `attempts` times (None: as often as
    the deadline has room for), and then its outcome is unknown. `on_unknown` and `on_failure` say
    what an unknown outcome, and one that is certainly a technical failure, lead to: all is taken
    back, or the step is parked until a person decides.

    With `answered_within`, the step is done once a person or another system has said yes; a no, or
    no answer in time, is a refusal. Who owes the answer is reminded after `reminded_after`.
    """

    do: Command
    undo: Command
    deadline: timedelta | None = None
    attempts: int | None = None
    on_unknown: OnFailure = "compensate"
    on_failure: OnFailure = "compensate"
    answered_within: timedelta | None = None
    reminded_after: timedelta | None = None

    @property
    def name(self) -> str:
        return type(self.do).__name__


@dataclass(frozen=True, kw_only=True)
class RetriableStep:
    """A step that cannot be taken back: the pivot, or one that follows it.

    It is asked until `patience` is over (None: the run's), at most `attempts` times, and then it is
    parked until a person decides.
    """

    do: Command
    patience: timedelta | None = None
    attempts: int | None = None

    @property
    def name(self) -> str:
        return type(self.do).__name__


AnyStep = TypeVar("AnyStep", bound=Step | Command | RetriableStep)


@dataclass(frozen=True)
class Parallel(Generic[AnyStep]):
    """Steps that do not depend on each other: done, and taken back, side by side."""

    steps: tuple[AnyStep, ...]

    def __init__(self, *steps: AnyStep) -> None:
        object.__setattr__(self, "steps", steps)


@dataclass(frozen=True, kw_only=True)
class Saga:
    """Compensatable steps, one pivot that decides, and retriable steps that only get done.

    The pivot may be refused, and is the last that may; after it there is no way back. Steps stand
    in this order in every saga. A command may stand for a `RetriableStep` with the run's own
    patience. `shape` changes whenever the steps do. `repeats` is whether another attempt may follow
    one that ended refused or compensated.

    Raises ValueError when two steps have the same name, because their keys would be the same.
    """

    compensatable: Sequence[Step | Parallel[Step]]
    pivot: Command | RetriableStep
    retriable: Sequence[Command | RetriableStep | Parallel[Command | RetriableStep]] = ()
    shape: int = 1
    repeats: Repeats = "numbered"

    def __post_init__(self) -> None:
        if twice := {name for name in self.names if self.names.count(name) > 1}:
            raise ValueError(f"two steps are named {', '.join(sorted(twice))}")

    @property
    def groups(self) -> Sequence[tuple[Step, ...]]:
        """The compensatable steps, those that run side by side together."""
        return [one.steps if isinstance(one, Parallel) else (one,) for one in self.compensatable]

    @property
    def pivot_step(self) -> RetriableStep:
        """The pivot, with its policy."""
        return _retriable_step(self.pivot)

    @property
    def retriable_groups(self) -> Sequence[tuple[RetriableStep, ...]]:
        """What follows the pivot, each with its policy, those that run side by side together."""
        return [
            tuple(map(_retriable_step, one.steps))
            if isinstance(one, Parallel)
            else (_retriable_step(one),)
            for one in self.retriable
        ]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all steps, in the order in which they are asked."""
        groups: list[Sequence[Step | RetriableStep]] = [
            *self.groups,
            (self.pivot_step,),
            *self.retriable_groups,
        ]
        return tuple(step.name for step in chain(*groups))

    @property
    def can_void_pivot(self) -> bool:
        """Whether taking back also undoes a pivot of which nobody knows whether it happened.

        It does where a compensation asks the same company: that shuts the pivot's key there. In our
        own books the fence knows, so that one has only to ask again.
        """
        pivot = self.pivot_step.do
        context = context_of(type(pivot))
        undos = [step.undo for group in self.groups for step in group]
        return pivot.asks_outside and any(
            undo.asks_outside and context_of(type(undo)) == context for undo in undos
        )


def numbered(name: str, before: int) -> str:
    """The name of what is done anew after it was completed `before` times; of the first, itself."""
    return f"{name}-{before + 1}" if before else name


def _retriable_step(one: Command | RetriableStep) -> RetriableStep:
    return one if isinstance(one, RetriableStep) else RetriableStep(do=one)
