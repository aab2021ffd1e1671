"""One step as it is asked: with which command, and under which key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from handrail.kernel import Command, void_of
from handrail.sagas.definition import RetriableStep, Step
from handrail.sagas.events import Direction
from handrail.sagas.options import RunOptions
from handrail.sagas.parking import Role


@dataclass
class StepRequest:
    """`ask` counts the keys it had: a definite no, or a correction, needs another one.

    `superseded` are the names under which it was asked before, and which may not take effect any
    more. `activity` is what serves it, where that is not the command's own. `first_asked` is when
    its present key was used first.
    """

    step: str
    role: Role
    command: Command
    limit: timedelta
    tries: int | None
    ask: int = 1
    superseded: tuple[str, ...] = ()
    activity: str = ""
    first_asked: datetime | None = None

    @classmethod
    def compensatable(cls, step: Step, options: RunOptions) -> StepRequest:
        limit = step.deadline or options.deadline
        return cls(step.name, "compensatable", step.do, limit, step.attempts)

    @classmethod
    def compensation(cls, step: Step, options: RunOptions) -> StepRequest:
        return cls(step.name, "compensation", step.undo, options.patience, None)

    @classmethod
    def pivot(cls, step: RetriableStep, options: RunOptions) -> StepRequest:
        limit = step.patience or options.patience
        return cls(step.name, "pivot", step.do, limit, step.attempts)

    @classmethod
    def void(cls, step: Step | RetriableStep, options: RunOptions) -> StepRequest:
        """Have the other company let go of what our own books do not hold."""
        void = cls(step.name, "compensation", step.do, options.patience, None)
        void.activity = void_of(type(step.do))
        return void

    @classmethod
    def retriable(cls, step: RetriableStep, options: RunOptions) -> StepRequest:
        limit = step.patience or options.patience
        return cls(step.name, "retriable", step.do, limit, step.attempts)

    @property
    def direction(self) -> Direction:
        return "undo" if self.role == "compensation" else "do"

    @property
    def issued_keys(self) -> Iterator[str]:
        """Every name under which it was asked."""
        yield self.step
        yield from (f"{self.step}~{ask}" for ask in range(2, self.ask + 1))

    @property
    def keys(self) -> tuple[str, ...]:
        """What closes all of its keys, in its direction."""
        back = "/undo" if self.direction == "undo" else ""
        return tuple(f"{key}{back}" for key in self.issued_keys)

    def new_key(self, *, supersedes: bool = True) -> None:
        """The present one would only hear its no again; what it holds may not take effect later."""
        if supersedes:
            self.superseded = tuple(self.issued_keys)
        self.ask += 1
        self.first_asked = None

    def correct(self, command: Command) -> None:
        """What was asked before may not take effect any more."""
        self.new_key()
        self.command = command
