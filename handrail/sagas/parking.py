"""Where steps wait for a person, and what a person may tell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from temporalio.exceptions import ApplicationError

from handrail.kernel import Command
from handrail.sagas.events import Direction, SagaResumed
from handrail.sagas.options import Intervention, InterventionKind
from handrail.sagas.recovery import Leftovers

Role = Literal["compensatable", "pivot", "retriable", "compensation"]

POSSIBLE: Final[dict[Role, tuple[InterventionKind, ...]]] = {
    "compensatable": ("retry", "correct", "resolve", "compensate"),
    "pivot": ("retry", "correct", "resolve", "compensate"),
    "retriable": ("retry", "correct", "skip", "resolve"),
    "compensation": ("retry", "correct", "skip", "resolve"),
}
"""What others build on cannot be skipped; what comes after the pivot cannot be taken back."""


@dataclass
class Parked:
    """A step that waits. `in_doubt` unless it certainly did not happen; `command` is what it was
    asked with, under `keys`, which another company may have forgotten from `forgotten_from` on. It
    is the `nth` time that the step waits in this direction. `previous` is the attempt whose step is
    taken back, where that is an earlier one.

    Once the stream says that it waits it is `shown`, and may be `claimed` by one intervention at a
    time, which is then `resumed` by what the stream says first. `resumed_by` is the intervention of
    workflows that began before the stream was asked.
    """

    step: str
    role: Role
    command: Command
    cause: str
    in_doubt: bool
    since: datetime
    keys: tuple[str, ...] = ()
    forgotten_from: datetime | None = None
    nth: int = 1
    previous: Leftovers | None = None
    shown: bool = False
    claimed: bool = False
    resumed: SagaResumed | None = None
    resumed_by: Intervention | None = None
    correction: Command | None = None

    @property
    def goes_on(self) -> bool:
        return self.resumed is not None or self.resumed_by is not None

    @property
    def direction(self) -> Direction:
        return "undo" if self.role == "compensation" else "do"

    @property
    def place(self) -> str:
        """What names this waiting in the saga's stream, once."""
        return f"{self.step}:{self.direction}:{self.nth}"


@dataclass
class Parking:
    """Side by side, several steps may wait; each has one place, and goes on by one intervention."""

    _places: dict[str, Parked] = field(default_factory=dict)
    _heard: set[str] = field(default_factory=set)
    _times: Counter[tuple[str, Direction]] = field(default_factory=Counter)

    @property
    def longest(self) -> Parked | None:
        return min(self._places.values(), key=lambda one: one.since, default=None)

    def take(self, parked: Parked) -> None:
        self._places[parked.step] = parked
        self._times[parked.step, parked.direction] += 1
        parked.nth = self._times[parked.step, parked.direction]

    def leave(self, parked: Parked) -> None:
        del self._places[parked.step]

    def waiting(self, step: str = "") -> Parked:
        """The one that waits or, of several, the one that is named.

        Raises ApplicationError of the type `NotParked`, whose message names what is parked.
        """
        waiting = [
            parked for parked in self._places.values() if not parked.claimed and not parked.goes_on
        ]
        found = [one for one in waiting if step in {"", one.step}]
        if len(found) != 1:
            names = ", ".join(one.step for one in waiting) or "none"
            raise ApplicationError(
                f"name the one step that is parked; parked now: {names}", type="NotParked"
            )
        return found[0]

    def target_of(self, intervention: Intervention) -> Parked | None:
        """The step to go on; None where the intervention was heard before.

        Raises ApplicationError of the type `NotParked`, whose message names what is parked.
        """
        return None if intervention.id in self._heard else self.waiting(intervention.step)

    def claim(self, intervention: Intervention) -> Sequence[Parked]:
        """All that go on by it, the one that is meant first; none where it was heard before.

        To take the saga back is meant for all that wait: none of them is tried again. Raises
        ApplicationError of the type `NotParked`, whose message names what is parked.
        """
        parked = self.target_of(intervention)
        if parked is None:
            return []
        self._heard.add(intervention.id)
        claimed = [parked]
        if intervention.kind == "compensate":
            others = (other for other in self._places.values() if other is not parked)
            claimed += [other for other in others if not other.claimed and not other.goes_on]
        for one in claimed:
            one.claimed = True
        return claimed

    def resume(self, claimed: Iterable[Parked], intervention: Intervention) -> None:
        """Those that did not go on by it wait for another: the stream refused the intervention."""
        for parked in claimed:
            parked.claimed = parked.goes_on
        self._heard.discard(intervention.id)


def check_possible(intervention: Intervention, parked: Parked) -> None:
    """Raises ApplicationError of the type `TooLate` or `NotPossible`; the message says why."""
    kind, role = intervention.kind, parked.role
    if kind == "compensate" and role in {"retriable", "compensation"}:
        too_late = {
            "retriable": "the pivot was done: after that there is no way back",
            "compensation": "it is being taken back already",
        }
        raise ApplicationError(too_late[role], type="TooLate")
    if kind not in POSSIBLE[role]:
        raise _impossible(f"{parked.step} cannot be skipped: later steps build on it", role)
    if kind in {"skip", "resolve"} and not intervention.evidence.strip():
        raise _impossible(f"to {kind} a step takes evidence: say what it rests on", role)
    if kind == "resolve" and not intervention.happened and role in {"retriable", "compensation"}:
        raise _impossible(f"{parked.step} has to be done: retry it, or skip it", role)


def check_remembered(intervention: Intervention, parked: Parked, now: datetime) -> None:
    """A company that has forgotten a key does what it did under it again, and cannot undo it.

    Raises ApplicationError of the type `NotPossible`, whose message says what to do.
    """
    rests_on_key = parked.role != "compensation" and intervention.kind in {
        "retry",
        "correct",
        "compensate",
    }
    is_forgotten = parked.forgotten_from is not None and now >= parked.forgotten_from
    if rests_on_key and parked.in_doubt and is_forgotten:
        message = (
            f"the other company may have forgotten the key of {parked.step}, and would do it again:"
            " look it up there, and resolve it"
        )
        raise ApplicationError(message, type="NotPossible")


def _impossible(message: str, role: Role) -> ApplicationError:
    return ApplicationError(f"{message}. Possible: {', '.join(POSSIBLE[role])}", type="NotPossible")
