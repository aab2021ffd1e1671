"""Where a schedule of several workflows stands: a value, as in `tests/model/state.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from temporalio.exceptions import ApplicationError

from domain.payments.plan import InstalmentPlan
from handrail.sagas.events import SagaEvent
from tests.model.bank import Ledger
from tests.model.plans.contexts import plan_in
from tests.model.plans.process import Begun, Signalled
from tests.model.runtime import Answered, Begin, Told
from tests.model.state import Path
from tests.model.store import Contents

Status = Literal["running", "completed", "cancelled", "failed", "terminated"]
Heard = tuple[datetime, Any]


@dataclass(frozen=True)
class Instance:
    """The newest run of a workflow, as Temporal has it: of the `log` as much as is `recorded`."""

    begun: Begun
    root: int
    log: tuple[Heard, ...] = ()
    recorded: int = 0
    digest: int = 0
    before: int = 0
    """The digest without the last entry, as `root` is that of what it was begun with."""
    status: Status = "running"

    @classmethod
    def of(cls, begun: Begun) -> Instance:
        """One of which only that is recorded."""
        root = hash(repr(begun))
        return cls(begun, root, digest=root)

    def hears(self, at: datetime, entry: Any) -> Instance:
        digest = hash((self.digest, at, _digest(entry)))
        return replace(self, log=(*self.log, (at, entry)), digest=digest, before=self.digest)

    def records(self) -> Instance:
        """A task is over."""
        return self if self.recorded == len(self.log) else replace(self, recorded=len(self.log))

    def loses_its_task(self, *more: Heard) -> Instance:
        """What is left when all that the worker did since then is not recorded; signals and updates
        are then seen before anything else.
        """
        tail = [*self.log[self.recorded :], *more]
        known = [one for one in tail if not (isinstance(one[1], Answered) and one[1].local)]
        first = [one for one in known if isinstance(one[1], Signalled | Told)]
        began = [one for one in known if isinstance(one[1], Begin)]
        rest = [one for one in known if one not in first and one not in began]
        fresh = replace(self, log=(), digest=self.root, before=0)
        for at, entry in (*self.log[: self.recorded], *first, *rest, *began):
            fresh = fresh.hears(at, entry)
        return fresh

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.begun.run, self.digest, self.recorded, self.status)


@dataclass(frozen=True)
class State:
    """`active` is whose turn it is, empty where nobody's. `once` are inputs that have come, `owed`
    what a person has yet to see to, `budget` how many more disturbances there may be. `late` are
    answers of activities that are on their way, and to whom.
    """

    contents: Contents
    ledger: Ledger
    now: datetime
    instances: Mapping[str, Instance]
    budget: int
    path: Path = field(compare=False)
    active: str = ""
    once: frozenset[str] = frozenset()
    owed: frozenset[str] = frozenset()
    late: tuple[tuple[str, Answered], ...] = ()
    sent: int = 0
    broken: str = ""
    """The law that the last thing broke, where it did."""

    @cached_property
    def key(self) -> int:
        instances = tuple((id_, one.key) for id_, one in sorted(self.instances.items()))
        rest = (
            self.now,
            self.budget,
            self.active,
            self.once,
            self.owed,
            repr(self.late),
            self.broken,
        )
        return hash((self.contents.fingerprint, self.ledger, instances, rest))

    @cached_property
    def plan(self) -> InstalmentPlan:
        return plan_in(self.contents)

    def story(self, saga: str) -> Sequence[SagaEvent]:
        return self.contents.streams.get(f"saga-{saga}", ())  # type: ignore[return-value]  # its own stream

    def after(self, what: str, **changes: Any) -> State:
        contents = changes.get("contents", self.contents)
        new = []
        if contents is not self.contents:
            for name, events in contents.streams.items():
                new += events[len(self.contents.streams.get(name, ())) :]
        return replace(self, path=Path(self.path, what, tuple(new)), **changes)

    def having(self, *instances: Instance, **changes: Any) -> State:
        by_id = {**self.instances, **{one.begun.id: one for one in instances}}
        return replace(self, instances=by_id, **changes)

    def heard(self, id_: str, entry: Any) -> State:
        return self.having(self.instances[id_].hears(self.now, entry))

    def without_late(self, id_: str) -> State:
        return replace(self, late=tuple(one for one in self.late if one[0] != id_))

    def is_running(self, id_: str) -> bool:
        return id_ in self.instances and self.instances[id_].status == "running"


def begins(
    state: State,
    type_: str,
    id_: str,
    arguments: Sequence[Any],
    *,
    parent: str = "",
    first: str = "",
) -> State:
    known = state.instances.get(id_)
    number = int(known.begun.run.rpartition("/")[2]) + 1 if known else 1
    run = f"{id_}/{number}"
    begun = Begun(type_, id_, tuple(arguments), state.now, run, first or run, parent)
    return state.having(Instance.of(begun).hears(state.now, Begin()))


def _digest(entry: Any) -> int:
    if isinstance(entry, Answered) and isinstance(no := entry.failure, ApplicationError):
        return hash((entry.nth, str(no), no.type, repr(no.details)))
    return hash(repr(entry))
