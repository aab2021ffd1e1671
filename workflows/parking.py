"""Where steps wait for a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from temporalio.exceptions import ApplicationError

from domain.sagas.events import Direction
from workflows.messages import Intervention


@dataclass
class Parked:
    step: str
    direction: Direction
    cause: str
    since: datetime
    resumed_by: Intervention | None = None


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

    def meant_by(self, intervention: Intervention) -> Parked | None:
        """The step to go on; None where the intervention was heard before.

        Raises ApplicationError of the type `NotParked`, whose message names what is parked.
        """
        if intervention.id in self._heard:
            return None
        waiting = [one for one in self._places.values() if one.resumed_by is None]
        found = [one for one in waiting if intervention.step in {"", one.step}]
        if len(found) != 1:
            names = ", ".join(one.step for one in waiting) or "none"
            raise ApplicationError(
                f"name the one step that is parked; parked now: {names}", type="NotParked"
            )
        return found[0]

    def hear(self, intervention: Intervention) -> None:
        """To take the saga back is meant for all that wait: none of them is tried again."""
        if parked := self.meant_by(intervention):
            self._heard.add(intervention.id)
            all_of_them = self._places.values() if intervention.kind == "compensate" else [parked]
            for one in all_of_them:
                one.resumed_by = one.resumed_by or intervention
