"""Runs all schedules of a saga, each state once, and looks at every end whether the laws hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from handrail.sagas.definition import Saga
from tests.model.bank import Ledger
from tests.model.laws import LAWS
from tests.model.moves import Moves, Retried, Rules
from tests.model.runtime import Run
from tests.model.state import Execution, Path, State
from tests.model.store import Contents
from tests.model.world import World

LONGEST = 120
"""Moves of a schedule: more means that it goes on for ever."""


class Stands(Protocol):
    """Where a schedule has come to."""

    @property
    def path(self) -> Path: ...

    @property
    def ledger(self) -> Ledger: ...


@dataclass(frozen=True)
class Counterexample:
    law: str
    state: Stands

    def __str__(self) -> str:
        lines = [self.law, ""]
        for nth, (what, events) in enumerate(self.state.path.lines(), start=1):
            lines.append(f"{nth:3}  {what}")
            lines += [f"       · {_short(event)}" for event in events]
        stands = [f"{one.key} ({one.kind})" for one in self.state.ledger.entries if one.standing]
        lines.append(f"     at the bank: {', '.join(stands) or 'nothing'}")
        return "\n".join(lines)


@dataclass
class Found:
    """`states` were come to, `ends` of them were judged, `ways` led to one of them."""

    states: int = 0
    ways: int = 0
    ends: int = 0
    broken: list[Counterexample] = field(default_factory=list)


def explore(
    saga: Saga,
    budget: int,
    rules: Rules | None = None,
    *,
    patched: bool = True,
    enough: int = 1,
    tells: Callable[[Found, int], None] | None = None,
) -> Found:
    """All schedules with at most `budget` disturbances, until `enough` break a law."""
    return Explorer(saga, rules or Rules(), patched=patched).all(budget, enough, tells)


class Explorer:
    def __init__(self, saga: Saga, rules: Rules, *, patched: bool = True) -> None:
        self._saga = saga
        self._patched = patched
        self._moves = Moves(World(), rules, self._rebuilt)
        self._seen: set[int] = set()
        self.found = Found()

    def all(
        self, budget: int, enough: int, tells: Callable[[Found, int], None] | None = None
    ) -> Found:
        first = State(
            contents=Contents(),
            ledger=Ledger(),
            at=Execution(1, "run-1", "run-1"),
            budget=budget,
            path=Path(None, "attempt 1 is asked for"),
        )
        waiting, found = [first], self.found
        while waiting and len(found.broken) < enough:
            self._walk(waiting.pop(), waiting)
            if tells:
                tells(found, len(waiting))
        return found

    def _walk(self, state: State, waiting: list[State]) -> None:
        """On from a state without disturbances; what may disturb it waits."""
        run: Run | None = None
        heard: Execution | None = None
        for _ in range(LONGEST):
            self.found.ways += 1
            if state.broken:
                self._breaks(state.broken, state)
                return
            if state.key in self._seen:
                return
            self._seen.add(state.key)
            self.found.states += 1
            at = state.at
            if run is None or heard is None or not _follows(at, heard):
                run = self._rebuilt(at)
            elif len(at.log) > len(heard.log):
                run.hear(at.log[-1])
            asked, state = state, _settled(state, run)
            heard = state.at
            if len(heard.log) < len(asked.at.log):
                # Refused by a validator, it is as if nobody had said anything.
                if state.key in self._seen:
                    return
                self._seen.add(state.key)
            try:
                others = self._moves.of(state, run)
                following = next(others, None)
                waiting.extend(others)
            except Retried as failure:
                self._breaks(f"an activity is tried for ever: {failure}", state)
                return
            if following is None:
                self._judge(state)
                return
            state = following
        self._breaks("it goes on for ever", state)

    def _rebuilt(self, at: Execution) -> Run:
        run = Run(self._saga, at.attempt, at.run, at.first_run, patched=self._patched)
        for entry in at.log:
            run.hear(entry)
        return run

    def _judge(self, state: State) -> None:
        self.found.ends += 1
        for law in LAWS:
            if said := law(self._saga, state):
                self._breaks(f"{law.__name__}: {said}", state)
                return

    def _breaks(self, law: str, state: State) -> None:
        self.found.broken.append(Counterexample(law, state))


def _follows(at: Execution, heard: Execution) -> bool:
    """Whether the run in memory only has to hear the last entry."""
    if (at.run, at.attempt) != (heard.run, heard.attempt):
        return False
    return at.log is heard.log or (
        len(at.log) == len(heard.log) + 1
        and all(one is other for one, other in zip(at.log, heard.log, strict=False))
    )


def _settled(state: State, run: Run) -> State:
    """What is recorded now, and what somebody has been told by it."""
    at = state.at
    told = list(state.told)
    if refused := [one for one in at.log if getattr(one, "id", None) in run.rejected]:
        kept = [one for one in at.log if one not in refused]
        new = replace(at, log=(), digest=0)
        for entry in kept:
            new = new.hears(entry)
        at = replace(new, recorded=min(at.recorded, len(kept)))
        state = replace(state, sent=state.sent - len(refused))
        told += ["not cancelled" for one in refused if one.id.startswith("c")]  # type: ignore[union-attr]  # updates
    if run.main is None or any(one.local for one in run.pending.values()):
        return replace(state, at=at, told=tuple(told))
    at = at.records()
    for id_, became in run.updates.items():
        if not id_.startswith("c") or became == "accepted":
            continue
        said = "cancelled" if became == "done" else "not cancelled"
        if said not in told:
            told.append(said)
    if (decision := run.saga.decision) is not None and not at.is_told:
        at = replace(at, is_told=True)
        told.append("yes" if decision.approved else "no")
    return replace(state, at=at, told=tuple(told))


def _short(event: object) -> str:
    passed = {"saga", "saga_type", "shape", "merchant", "at_stake", "run", "opened_on", "steps"}
    fields = {
        name: value
        for name, value in vars(event).items()
        if name not in passed and value not in ("", None)
    }
    said = ", ".join(f"{name}={value}" for name, value in fields.items())
    return f"{type(event).__name__}({said})"
