"""Steps that a person, or another system, answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from temporalio.exceptions import ApplicationError

from workflows.messages import Verdict


@dataclass
class Awaited:
    step: str
    until: datetime
    verdict: Verdict | None = None


@dataclass
class Answers:
    """Each step that waits has one place, and hears one verdict."""

    _places: dict[str, Awaited] = field(default_factory=dict)
    _heard: set[str] = field(default_factory=set)

    @property
    def first(self) -> Awaited | None:
        return min(self._places.values(), key=lambda one: one.until, default=None)

    def take(self, awaited: Awaited) -> None:
        self._places[awaited.step] = awaited

    def leave(self, awaited: Awaited) -> None:
        del self._places[awaited.step]

    def meant_by(self, verdict: Verdict) -> Awaited | None:
        """The step that is answered; None where the verdict was heard before.

        Raises ApplicationError of the type `NotParked`, whose message names what waits.
        """
        if verdict.id in self._heard:
            return None
        waiting = [one for one in self._places.values() if one.verdict is None]
        found = [one for one in waiting if verdict.step in {"", one.step}]
        if len(found) != 1:
            names = ", ".join(one.step for one in waiting) or "none"
            raise ApplicationError(
                f"name the one step that waits for an answer; waiting now: {names}",
                type="NotParked",
            )
        return found[0]

    def hear(self, verdict: Verdict) -> None:
        if awaited := self.meant_by(verdict):
            self._heard.add(verdict.id)
            awaited.verdict = verdict
