"""Steps that a person, or another system, answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from temporalio.exceptions import ApplicationError

from handrail.sagas.events import StepAnswered
from handrail.sagas.options import Verdict


@dataclass
class PendingApproval:
    """One answer at a time is `claimed`; it is `stands` that the stream has, and counts.

    `verdict` is what was heard by workflows that began before the stream was asked.
    """

    step: str
    until: datetime
    claimed: bool = False
    stands: StepAnswered | None = None
    verdict: Verdict | None = None

    @property
    def is_answered(self) -> bool:
        return self.stands is not None or self.verdict is not None


@dataclass
class PendingApprovals:
    """Each step that waits has one place, and hears one verdict."""

    _places: dict[str, PendingApproval] = field(default_factory=dict)
    _heard: set[str] = field(default_factory=set)

    @property
    def first(self) -> PendingApproval | None:
        return min(self._places.values(), key=lambda one: one.until, default=None)

    def take(self, awaited: PendingApproval) -> None:
        self._places[awaited.step] = awaited

    def leave(self, awaited: PendingApproval) -> None:
        del self._places[awaited.step]

    def target_of(self, verdict: Verdict) -> PendingApproval | None:
        """The step that is answered; None where the verdict was heard before.

        Raises ApplicationError of the type `NotParked`, whose message names what waits.
        """
        if verdict.id in self._heard:
            return None
        waiting = [
            pending
            for pending in self._places.values()
            if not pending.claimed and not pending.is_answered
        ]
        found = [one for one in waiting if verdict.step in {"", one.step}]
        if len(found) != 1:
            names = ", ".join(one.step for one in waiting) or "none"
            raise ApplicationError(
                f"name the one step that waits for an answer; waiting now: {names}",
                type="NotParked",
            )
        return found[0]

    def claim(self, verdict: Verdict) -> PendingApproval | None:
        """The step that is answered, which hears no other verdict meanwhile."""
        if awaited := self.target_of(verdict):
            self._heard.add(verdict.id)
            awaited.claimed = True
        return awaited

    def resolve(self, awaited: PendingApproval, verdict: Verdict) -> None:
        """It waits for another: the stream refused the verdict."""
        awaited.claimed = False
        self._heard.discard(verdict.id)
