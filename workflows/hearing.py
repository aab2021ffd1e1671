"""What a saga is told while it runs, and whether it may still be told."""

from __future__ import annotations

from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.kernel import Command
from workflows.answering import Answers
from workflows.correcting import check_correction
from workflows.messages import Cancellation, Decision, Intervention, Verdict
from workflows.parking import Parking, check_possible
from workflows.shape import Saga


class Hearing:
    """The side of a running saga that the workflow's handlers speak to."""

    def __init__(self, saga: Saga) -> None:
        self.saga = saga
        self.decision: Decision | None = None
        self._parking = Parking()
        self._answers = Answers()
        self._cancellation: Cancellation | None = None
        self._pivot: Literal["ahead", "asked", "done"] = "ahead"
        self._back_because = ""

    async def decided(self) -> Decision:
        await workflow.wait_condition(lambda: self.decision is not None)
        assert self.decision is not None
        return self.decision

    def may_cancel(self) -> None:
        """Raises ApplicationError of the type `TooLate`, whose message says why."""
        if self._back_because:
            raise ApplicationError("it is being taken back already", type="TooLate")
        if self._pivot != "ahead":
            raise ApplicationError(
                f"{self.saga.deciding.name} was asked already: after that there is no way back",
                type="TooLate",
            )

    def cancel(self, cancellation: Cancellation) -> None:
        self._cancellation = self._cancellation or cancellation

    def may_intervene(self, intervention: Intervention, correction: Command | None) -> None:
        """Raises ApplicationError, of the type `NotParked`, `TooLate`, `NotPossible` or
        `WrongCorrection`, whose message says why.
        """
        parked = self._parking.meant_by(intervention)
        if parked is None:
            return
        check_possible(intervention, parked)
        if intervention.kind == "correct":
            check_correction(parked.command, correction)
        if intervention.kind == "compensate" and parked.role == "pivot" and parked.in_doubt:
            self._check_pivot_can_be_shut(parked.step)

    def intervene(self, intervention: Intervention, correction: Command | None) -> None:
        self._parking.hear(intervention, correction)

    def parked_command(self, step: str) -> Command:
        """Raises ApplicationError of the type `NotParked`, whose message names what is parked."""
        return self._parking.waiting(step).command

    def may_answer(self, verdict: Verdict) -> None:
        """Raises ApplicationError of the type `NotParked`, whose message names what waits."""
        self._answers.meant_by(verdict)

    def answer(self, verdict: Verdict) -> None:
        self._answers.hear(verdict)

    def _wish(self) -> Cancellation | None:
        # Temporal can lose a cancellation on its way to the code, but not its reason.
        if self._cancellation is None and (reason := workflow.cancellation_reason()) is not None:
            return Cancellation(actor="temporal", reason=reason or "workflow cancelled")
        return self._cancellation

    def _check_pivot_can_be_shut(self, pivot: str) -> None:
        if not self.saga.shuts_pivot:
            said = f"nobody knows whether {pivot} happened: retry it, or find out and resolve it"
            raise ApplicationError(said, type="NotPossible")
