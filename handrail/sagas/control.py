"""What a saga is told while it runs: whether it may be told, and what then stands.

A validator only knows what the workflow remembers, which may be less than what the stream says: it
refuses early what is certainly wrong. What is accepted is what the stream says, in the handler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, Literal, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from handrail import bounds
from handrail.kernel import Attribution, Command
from handrail.sagas.approvals import PendingApprovals
from handrail.sagas.bounded_arguments import check_texts
from handrail.sagas.corrections import check_correction, in_words
from handrail.sagas.definition import Saga
from handrail.sagas.events import CancelRequested, SagaResumed, StepAnswered
from handrail.sagas.options import Decision, Intervention, RunOptions, SagaIdentity, Verdict
from handrail.sagas.parking import Parked, Parking, check_possible, check_remembered
from handrail.sagas.step_executor import ATTEMPT_CLOSED, StepExecutor
from handrail.sagas.visibility import Timeline

T = TypeVar("T")

_AT_ONCE: Final = timedelta(milliseconds=1)
SUPERSEDED: Final = "superseded"
"""Why an attempt takes back what earlier ones left, before it begins anew."""


def the_stores_decide() -> bool:
    """False in a workflow that took this turning when it was decided by what it remembered."""
    return workflow.patched("the-stores-decide")


class SagaControl:
    """The side of a running saga that the workflow's handlers speak to."""

    def __init__(self, saga: Saga, identity: SagaIdentity, options: RunOptions) -> None:
        self.saga = saga
        self.options = options
        self.decision: Decision | None = None
        self._timeline = Timeline(identity, options.tenant_word)
        self._executor = StepExecutor(identity, options, self._timeline)
        self._parking = Parking()
        self._answers = PendingApprovals()
        self._has_begun = False
        self._cancellation: Attribution | None = None
        self._being_cancelled = 0
        self._pivot: Literal["ahead", "asked", "done"] = "ahead"
        self._back_because = ""

    @property
    def identity(self) -> SagaIdentity:
        return self._executor.identity

    async def decided(self) -> Decision:
        await workflow.wait_condition(lambda: self.decision is not None)
        assert self.decision is not None
        return self.decision

    def may_cancel(self, cancellation: Attribution) -> None:
        """Raises ApplicationError of the type `TooLate` or `WrongValue`, whose message says why."""
        check_texts((bounds.STORED_ACTOR, cancellation.actor), (bounds.REASON, cancellation.reason))
        if self._back_because not in {"", SUPERSEDED}:
            raise _too_late("it is being taken back already")
        if self._pivot != "ahead":
            pivot = self.saga.pivot_step.name
            raise _too_late(f"{pivot} was asked already: after that there is no way back")

    async def cancel(self, cancellation: Attribution) -> None:
        """Raises ApplicationError of the type `TooLate`, where the stream says that it is."""
        if not the_stores_decide():
            self._cancellation = self._cancellation or cancellation
            return
        if self._cancellation is not None:
            return
        self._being_cancelled += 1
        try:
            await _is_kept_by_temporal("cancellation-kept-before-recorded")
            await workflow.wait_condition(lambda: self._has_begun)
            requested = self._fact(
                CancelRequested, actor=cancellation.actor, reason=cancellation.reason
            )
            pivot = self.saga.pivot_step.name
            answer = await self._executor.request_cancellation(requested, pivot)
            if not answer.accepted:
                raise _too_late(answer.said)
            self._cancellation = self._cancellation or cancellation
        except ApplicationError as refused:
            raise _refusal(refused) from None
        finally:
            self._being_cancelled -= 1

    def may_intervene(self, intervention: Intervention, correction: Command | None) -> None:
        """Raises ApplicationError, of the type `NotParked`, `TooLate`, `NotPossible`,
        `WrongCorrection` or `WrongValue`, whose message says why.
        """
        check_texts(
            (bounds.UPDATE, intervention.id),
            (bounds.STORED_ACTOR, intervention.actor),
            (bounds.REASON, intervention.reason),
            (bounds.EVIDENCE, intervention.evidence),
        )
        parked = self._parking.target_of(intervention)
        if parked is None:
            return
        check_possible(intervention, parked)
        check_remembered(intervention, parked, workflow.now())
        if intervention.kind == "correct":
            check_correction(parked.command, correction)
        if intervention.kind == "compensate" and parked.role == "pivot" and parked.in_doubt:
            self._check_pivot_can_be_shut(parked.step)

    async def intervene(self, intervention: Intervention, correction: Command | None) -> None:
        """Raises ApplicationError, where the stream says no, or that the step went on before."""
        claimed = self._parking.claim(intervention)
        if not the_stores_decide():
            for parked in claimed:
                parked.resumed_by, parked.correction = intervention, correction
            return
        try:
            for parked in claimed:
                await self._resume(parked, intervention, correction)
        except ApplicationError:
            self._parking.resume(claimed, intervention)
            raise

    async def _resume(self, parked: Parked, by: Intervention, correction: Command | None) -> None:
        await _is_kept_by_temporal()
        await workflow.wait_condition(lambda: parked.shown)
        is_corrected = by.kind == "correct" and correction is not None
        resumed = self._resumed(parked, by, correction if is_corrected else None)
        try:
            parked.resumed, parked.correction = await self._executor.resume(
                f"resumed:{parked.place}",
                resumed,
                correction if is_corrected else None,
                _shut_by(by, parked),
                parked.previous,
            )
        except ApplicationError as refused:
            raise _refusal(refused) from None
        if (stands := parked.resumed).intervention != by.id:
            message = f"{parked.step} goes on already: {stands.kind} by {stands.actor}"
            raise ApplicationError(message, type="NotParked")

    def _resumed(self, parked: Parked, by: Intervention, correction: Command | None) -> SagaResumed:
        resumed = self._fact(
            SagaResumed,
            step=parked.step,
            direction=parked.direction,
            intervention=by.id,
            kind=by.kind,
            actor=by.actor,
            reason=by.reason,
            evidence=by.evidence,
            correction=_in_words(parked.command, correction) if correction else "",
            happened=by.happened,
        )
        return replace(resumed, attempt=parked.previous.attempt) if parked.previous else resumed

    def parked_command(self, step: str) -> Command:
        """Raises ApplicationError of the type `NotParked`, whose message names what is parked."""
        return self._parking.waiting(step).command

    def may_answer(self, verdict: Verdict) -> None:
        """Raises ApplicationError of the type `NotParked` or `WrongValue`; the message says why."""
        check_texts(
            (bounds.UPDATE, verdict.id),
            (bounds.STORED_ACTOR, verdict.actor),
            (bounds.REASON, verdict.reason),
        )
        self._answers.target_of(verdict)

    async def answer(self, verdict: Verdict) -> None:
        """Raises ApplicationError of the type `NotParked`, where another answer stands."""
        awaited = self._answers.claim(verdict)
        if awaited is None:
            return
        if not the_stores_decide():
            awaited.verdict = verdict
            return
        await _is_kept_by_temporal()
        answered = self._fact(
            StepAnswered,
            step=awaited.step,
            approved=verdict.approved,
            actor=verdict.actor,
            reason=verdict.reason,
        )
        try:
            awaited.stands = await self._executor.answer(answered)
        except ApplicationError as refused:
            self._answers.resolve(awaited, verdict)
            raise _refusal(refused) from None
        if awaited.stands != answered:
            message = f"{awaited.step} was answered before, by {awaited.stands.actor}"
            raise ApplicationError(message, type="NotParked")

    def _cancellation_request(self) -> Attribution | None:
        # Temporal can lose a cancellation on its way to the code, but not its reason.
        if self._cancellation is None and (reason := workflow.cancellation_reason()) is not None:
            message = bounds.storable(reason or "workflow cancelled", bounds.REASON.longest)
            return Attribution(actor="temporal", reason=message)
        return self._cancellation

    def _check_pivot_can_be_shut(self, pivot: str) -> None:
        if not self.saga.can_void_pivot:
            message = f"nobody knows whether {pivot} happened: retry it, or find out and resolve it"
            raise ApplicationError(message, type="NotPossible")

    def _fact(self, event: Callable[..., T], **fields: Any) -> T:
        return event(saga=self.identity.saga, attempt=self.identity.attempt, **fields)


def _in_words(asked: Command, corrected: Command) -> str:
    return in_words(asked, corrected, workflow.payload_converter())


async def _is_kept_by_temporal(since: str = "kept-before-recorded") -> None:
    """Temporal keeps an update once the task that accepted it is over; a timer ends that task.

    What was recorded before that, by a task that is lost, nobody would tell the saga again: its
    stream says that it went on, and it waits. `since` names the turning where this began.
    """
    if workflow.patched(since):
        await workflow.sleep(_AT_ONCE, summary="until it is kept what was said")


def _shut_by(by: Intervention, parked: Parked) -> tuple[str, ...]:
    """What goes on without the step, or asks for it otherwise, lets it take effect no more."""
    is_otherwise = by.kind == "correct" and parked.direction == "do"
    return parked.keys if by.kind in {"skip", "resolve"} or is_otherwise else ()


def _too_late(message: str) -> ApplicationError:
    return ApplicationError(message, type="TooLate")


def _refusal(refused: ApplicationError) -> ApplicationError:
    """What an update is refused with: an attempt that is over can be told nothing any more."""
    if refused.type == ATTEMPT_CLOSED:
        return _too_late(str(refused))
    return ApplicationError(refused.message, type=refused.type or "TooLate")
