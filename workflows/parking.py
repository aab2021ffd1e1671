"""Where steps wait for a person, and what a person may tell them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from temporalio.exceptions import ApplicationError

from domain.kernel import Command
from domain.sagas.events import Direction
from workflows.messages import Intervention, InterventionKind

Role = Literal["promise", "pivot", "duty", "compensation"]

POSSIBLE: Final[dict[Role, tuple[InterventionKind, ...]]] = {
    "promise": ("retry", "correct", "resolve", "compensate"),
    "pivot": ("retry", "correct", "resolve", "compensate"),
    "duty": ("retry", "correct", "skip", "resolve"),
    "compensation": ("retry", "correct", "skip", "resolve"),
}
"""What others build on cannot be skipped; what comes after the pivot cannot be taken back."""


@dataclass
class Parked:
    """A step that waits. `in_doubt` unless it certainly did not happen; `command` is what it was
    asked with.
    """

    step: str
    role: Role
    command: Command
    cause: str
    in_doubt: bool
    since: datetime
    resumed_by: Intervention | None = None
    correction: Command | None = None

    @property
    def direction(self) -> Direction:
        return "undo" if self.role == "compensation" else "do"


@dataclass
class Parking:
    """Side by side, several steps may wait; each has one place, and goes on by one intervention."""

    _places: dict[str, Parked] = field(default_factory=dict)
    _heard: set[str] = field(default_factory=set)

    @property
    def longest(self) -> Parked | None:
        return min(self._places.values(), key=lambda one: one.since, default=None)

    def take(self, parked: Parked) -> None:
        self._places[parked.step] = parked

    def leave(self, parked: Parked) -> None:
        del self._places[parked.step]

    def waiting(self, step: str = "") -> Parked:
        """The one that waits or, of several, the one that is named.

        Raises ApplicationError of the type `NotParked`, whose message names what is parked.
        """
        waiting = [one for one in self._places.values() if one.resumed_by is None]
        found = [one for one in waiting if step in {"", one.step}]
        if len(found) != 1:
            names = ", ".join(one.step for one in waiting) or "none"
            raise ApplicationError(
                f"name the one step that is parked; parked now: {names}", type="NotParked"
            )
        return found[0]

    def meant_by(self, intervention: Intervention) -> Parked | None:
        """The step to go on; None where the intervention was heard before.

        Raises ApplicationError of the type `NotParked`, whose message names what is parked.
        """
        return None if intervention.id in self._heard else self.waiting(intervention.step)

    def hear(self, intervention: Intervention, correction: Command | None) -> None:
        """To take the saga back is meant for all that wait: none of them is tried again."""
        if parked := self.meant_by(intervention):
            self._heard.add(intervention.id)
            back = intervention.kind == "compensate"
            for one in self._places.values() if back else [parked]:
                if one.resumed_by is None:
                    one.resumed_by, one.correction = intervention, correction


def check_possible(intervention: Intervention, parked: Parked) -> None:
    """Raises ApplicationError of the type `TooLate` or `NotPossible`; the message says why."""
    kind, role = intervention.kind, parked.role
    if kind == "compensate" and role in {"duty", "compensation"}:
        too_late = {
            "duty": "the pivot was done: after that there is no way back",
            "compensation": "it is being taken back already",
        }
        raise ApplicationError(too_late[role], type="TooLate")
    if kind not in POSSIBLE[role]:
        raise _impossible(f"{parked.step} cannot be skipped: later steps build on it", role)
    if kind in {"skip", "resolve"} and not intervention.evidence.strip():
        raise _impossible(f"to {kind} a step takes evidence: say what it rests on", role)
    if kind == "resolve" and not intervention.happened and role in {"duty", "compensation"}:
        raise _impossible(f"{parked.step} has to be done: retry it, or skip it", role)


def _impossible(said: str, role: Role) -> ApplicationError:
    return ApplicationError(f"{said}. Possible: {', '.join(POSSIBLE[role])}", type="NotPossible")
