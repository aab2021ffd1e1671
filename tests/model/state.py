"""Where a schedule stands: a value, from which it can be gone on with in any way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from temporalio.exceptions import ApplicationError

from handrail.kernel import Event
from handrail.sagas.events import SagaEvent
from tests.model.bank import Ledger
from tests.model.runtime import SAGA, Answered, Begin, Entry, Fired, Scheduled, Told
from tests.model.store import Contents


@dataclass(frozen=True)
class Execution:
    """A run of the workflow, as Temporal has it: of the `log` as much as is `recorded`.

    The rest is what the worker saw in a task that is not over. `tasks` are the places in the log
    where one was over. `tried` are activities of which an earlier try gave no answer.
    """

    attempt: int
    run: str
    first_run: str
    log: tuple[Entry, ...] = ()
    recorded: int = 0
    tasks: tuple[int, ...] = ()
    tried: frozenset[int] = frozenset()
    digest: int = 0
    is_told: bool = False
    """Whether the customer was told this run's decision."""

    def hears(self, entry: Entry) -> Execution:
        return replace(self, log=(*self.log, entry), digest=hash((self.digest, _digest(entry))))

    def records(self) -> Execution:
        """A task is over."""
        at = len(self.log)
        if self.recorded == at:
            return self
        return replace(self, recorded=at, tasks=(*self.tasks, at))

    def cut(self, at: int, more: Sequence[Entry] = ()) -> Execution:
        fresh = replace(self, log=(), digest=0, recorded=min(self.recorded, at))
        tasks = tuple(one for one in self.tasks if one <= at)
        for entry in (*self.log[:at], *more):
            fresh = fresh.hears(entry)
        return replace(fresh, tasks=tasks, tried=frozenset())

    def loses_its_task(self, seen: int, *, redelivered: bool) -> Execution:
        """What is left when all that the worker did since `seen` is not recorded.

        What Temporal itself knows stays: answers of queues, timers, and its own cancellation.
        Updates come again, with the task, unless who sent them has given up.
        """
        tail = self.log[seen:]
        updates = [one for one in tail if isinstance(one, Told) and redelivered]
        known = [
            one
            for one in tail
            if not isinstance(one, Told | Begin) and not (isinstance(one, Answered) and one.local)
        ]
        began = [Begin()] if seen and any(isinstance(one, Begin) for one in tail) else []
        return self.cut(seen, [*known, *updates, *began])


@dataclass(frozen=True)
class Zombie:
    """A run whose worker goes on, though nobody listens any more: `moves` more times."""

    at: Execution
    moves: int


@dataclass(frozen=True)
class Path:
    """How a schedule came here: what happened, and what the stores were told by it."""

    before: Path | None
    what: str
    events: tuple[Event, ...] = ()

    def lines(self) -> Sequence[tuple[str, tuple[Event, ...]]]:
        found: list[tuple[str, tuple[Event, ...]]] = []
        at: Path | None = self
        while at is not None:
            found.append((at.what, at.events))
            at = at.before
        return found[::-1]


@dataclass(frozen=True)
class State:
    """`flights` are activities that somebody still runs, and nobody waits for. `told` is what the
    customer was told, `by_hand` the steps that a person saw to. `once` are outside inputs that
    have come. `budget` is how many more disturbances there may be.
    """

    contents: Contents
    ledger: Ledger
    at: Execution
    budget: int
    path: Path = field(compare=False)
    zombies: tuple[Zombie, ...] = ()
    flights: tuple[Scheduled, ...] = ()
    told: tuple[str, ...] = ()
    by_hand: frozenset[str] = frozenset()
    once: frozenset[str] = frozenset()
    sent: int = 0
    followed: int = 0
    broken: str = ""
    """The law that the last thing broke, where it did."""

    @property
    def key(self) -> int:
        at = self.at
        zombies = tuple((one.at.digest, one.at.run, one.moves) for one in self.zombies)
        flights = tuple((one.name, str(one.arguments[1].key)) for one in self.flights)
        run = (at.attempt, at.run, at.digest, at.recorded, at.tasks, at.tried, at.is_told)
        rest = (self.told, self.by_hand, self.once, self.sent, self.followed, self.budget)
        return hash((self.contents.fingerprint, self.ledger, run, zombies, flights, rest))

    @property
    def story(self) -> tuple[SagaEvent, ...]:
        return self.contents.streams.get(f"saga-{SAGA}", ())  # type: ignore[return-value]  # its own stream

    def after(self, what: str, **changes: object) -> State:
        contents = changes.get("contents", self.contents)
        assert isinstance(contents, Contents)
        new: list[Event] = []
        if contents is not self.contents:
            for name, events in contents.streams.items():
                new += events[len(self.contents.streams.get(name, ())) :]
        return replace(self, path=Path(self.path, what, tuple(new)), **changes)  # type: ignore[arg-type]  # its fields


def _digest(entry: Entry) -> int:
    if isinstance(entry, Answered) and isinstance(no := entry.failure, ApplicationError):
        return hash((entry.nth, str(no), no.type, repr(no.details)))
    return hash(repr(entry))


__all__ = ["Execution", "Fired", "Path", "State", "Zombie"]
