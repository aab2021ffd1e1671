"""Where a saga waits: for a step's answer, for a person, or for an answer that is awaited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio import workflow

from handrail.sagas.approvals import PendingApproval
from handrail.sagas.control import SagaControl, the_stores_decide
from handrail.sagas.definition import Saga, Step
from handrail.sagas.events import (
    AnswerAwaited,
    AnswerReminded,
    CancelRequested,
    SagaEvent,
    SagaParked,
    SagaResumed,
    StepAnswered,
    StepFailed,
    StepUnknown,
)
from handrail.sagas.options import RunOptions, SagaIdentity
from handrail.sagas.parking import Parked
from handrail.sagas.recovery import DEADLINE, Leftovers
from handrail.sagas.step_executor import NoAnswer, attempt_closed
from handrail.sagas.step_keys import Answer, OnceDone
from handrail.sagas.step_request import StepRequest


@dataclass(frozen=True)
class TurnedBack:
    """Why the saga goes back; `refused` by the business, or for another reason.

    `because` is empty where a closed key told a step so, and the stream knows why. `beside`: a step
    beside this one turned back. `denied`: a person knows that the step did not happen.
    `over_pivot`: a person has a pivot taken back that may be done.
    """

    because: str
    reason: str
    refused: bool = False
    beside: bool = False
    denied: bool = False
    over_pivot: bool = False
    recorded: tuple[SagaEvent, ...] = ()


class Waiting(SagaControl):
    """The side of a running saga that waits."""

    def __init__(self, saga: Saga, identity: SagaIdentity, options: RunOptions) -> None:
        super().__init__(saga, identity, options)
        self._is_turning = False

    async def _park(
        self,
        request: StepRequest,
        answer: NoAnswer,
        *recorded: SagaEvent,
        previous: Leftovers | None = None,
    ) -> TurnedBack | SagaResumed:
        """Wait for what a person says; or why the saga has to turn back.

        `previous` is the attempt whose step is taken back, where that is not this one: what a
        person says of it says nothing of the step that this one may ask anew.
        """
        parked = Parked(
            step=request.step,
            role=request.role,
            command=request.command,
            cause=answer.cause,
            in_doubt=answer.happened is not False,
            since=workflow.now(),
            keys=request.keys,
            forgotten_from=self._forgotten_from(request),
            previous=previous,
        )
        step, direction = parked.step, parked.direction
        self._parking.take(parked)
        self._show()
        await self._record(
            f"parked:{parked.place}",
            *recorded,
            replace(
                self._fact(SagaParked, step=step, direction=direction, cause=parked.cause),
                attempt=previous.attempt if previous else self.identity.attempt,
            ),
        )
        parked.shown = True
        # A pivot without an answer may be done: only a person can say that it is to be undone.
        is_compensatable = parked.role == "compensatable"

        def enough() -> bool:
            is_left = is_compensatable and not parked.claimed and self._is_over()
            return parked.goes_on or is_left

        await workflow.wait_condition(enough)
        self._parking.leave(parked)
        self._show(step)
        if not parked.goes_on:
            return await self._turned_beside()
        by = parked.resumed or await self._resumed_as_remembered(parked)
        if by.kind == "correct" and parked.correction is not None:
            request.correct(parked.correction)
        elif by.kind == "retry" and answer.spent:
            request.new_key(supersedes=not answer.refused)
        if by.kind == "compensate" or not by.happened:
            return TurnedBack("intervention", by.reason, denied=not by.happened)
        return by

    def _forgotten_from(self, request: StepRequest) -> datetime | None:
        """From when on another company may do the same again under the same key."""
        kept = timedelta(seconds=self.options.keys_kept_seconds)
        if not kept or not request.command.asks_outside or request.first_asked is None:
            return None
        return request.first_asked + kept

    async def _resumed_as_remembered(self, parked: Parked) -> SagaResumed:
        """By workflows that began before the stream was asked."""
        by = parked.resumed_by
        assert by is not None
        is_corrected = by.kind == "correct"
        resumed = self._resumed(parked, by, parked.correction if is_corrected else None)
        by_hand = by.kind in {"skip", "resolve"}
        name, closes = f"resumed:{parked.place}", parked.keys if by_hand else ()
        await self._executor.record(name, [resumed], closes)
        return resumed

    def _await(self, step: Step) -> list[AnswerAwaited]:
        """Until when an answer is awaited, where one is; it is told once the step is done."""
        if step.answered_within is None:
            return []
        until = workflow.now() + step.answered_within
        return [self._fact(AnswerAwaited, step=step.name, until=until)]

    async def _await_answer(self, step: Step, awaited: PendingApproval) -> TurnedBack | None:
        """Why the saga has to turn back, if it has: a no, or no answer in time, is a refusal."""

        def enough() -> bool:
            return awaited.is_answered or (not awaited.claimed and self._is_over())

        self._answers.take(awaited)
        self._show()
        if step.reminded_after and not await _within(step.reminded_after, enough, "reminder"):
            reminded = self._fact(AnswerReminded, step=step.name, until=awaited.until)
            await self._record(f"reminded:{step.name}", reminded)
        is_heard = await _within(awaited.until - workflow.now(), enough, f"answer to {step.name}")
        if not is_heard and awaited.claimed:
            await workflow.wait_condition(enough)
        self._answers.leave(awaited)
        self._show(step.name)
        if not awaited.is_answered and self._is_over():
            return await self._turned_beside()
        answered = self._fact(
            StepAnswered,
            step=step.name,
            approved=False,
            actor=DEADLINE,
            reason="nobody answered in time",
        )
        if verdict := awaited.verdict:
            answered = replace(
                answered, approved=verdict.approved, actor=verdict.actor, reason=verdict.reason
            )
        recorded: tuple[SagaEvent, ...] = ()
        if awaited.stands is None and not the_stores_decide():
            if answered.approved:
                await self._record(f"answered:{step.name}", answered)
                return None
            recorded = (answered,)
        else:
            answered = awaited.stands or await self._executor.answer(answered)
        if answered.approved:
            return None
        because = "NotAnswered" if answered.actor == DEADLINE else "Declined"
        return TurnedBack(because, answered.reason, refused=True, recorded=recorded)

    def _is_over(self) -> bool:
        """Whether there is nothing to wait for: the saga turns back, or is to be cancelled."""
        return self._is_turning or self._cancellation_request() is not None

    async def _turned_beside(self) -> TurnedBack:
        turned = TurnedBack("superseded", "a step beside it turned the saga back", beside=True)
        return await self._settled() or turned

    async def _settled(self) -> TurnedBack | None:
        """Why the saga turns back, once the stream has said whether it is cancelled."""
        if self._being_cancelled:
            await workflow.wait_condition(lambda: not self._being_cancelled)
        return self._cancelled()

    def _cancelled(self) -> TurnedBack | None:
        wish = self._cancellation_request()
        return TurnedBack("cancelled", wish.reason) if wish else None

    def _closed(self, answer: NoAnswer) -> TurnedBack:
        """A key that is closed says that the stream knows more than this workflow.

        Raises ApplicationError in workflows that began before the stream was asked.
        """
        if not the_stores_decide():
            raise attempt_closed(answer.cause)
        return TurnedBack("", answer.cause)

    # One step.

    async def _answer(
        self,
        request: StepRequest,
        *,
        closes: Sequence[str] = (),
        once_done: Sequence[OnceDone] = (),
        previous: Leftovers | None = None,
    ) -> Answer | NoAnswer:
        return await self._executor.ask(
            request,
            tuple(closes),
            tuple(once_done),
            previous,
            going_out=lambda: self._show(request.step),
        )

    async def _record(self, name: str, *events: SagaEvent) -> str:
        return await self._executor.record(name, events)

    def _unanswered(
        self, request: StepRequest, answer: NoAnswer, *, always_unknown: bool = False
    ) -> StepFailed | StepUnknown:
        if answer.happened is False and not always_unknown:
            return self._fact(StepFailed, step=request.step, cause=answer.cause)
        return self._fact(StepUnknown, step=request.step, direction="do", cause=answer.cause)

    def _cancel_requested(self, actor: str, reason: str) -> CancelRequested:
        return self._fact(CancelRequested, actor=actor, reason=reason)

    def _show(self, step: str = "", *, ending: str = "") -> None:
        """Whatever else goes on beside it: what waits for a person is what has to be seen."""
        if parked := self._parking.longest:
            self._timeline.show(
                "parked", step=parked.step, failure=parked.cause, parked_since=parked.since
            )
        elif awaited := self._answers.first:
            self._timeline.show("awaiting", step=awaited.step, failure="", parked_since=None)
        else:
            status = ending or ("compensating" if self._back_because else "running")
            self._timeline.show(status, step=step, failure=self._back_because, parked_since=None)


async def _within(limit: timedelta, condition: Callable[[], bool], why: str) -> bool:
    """Wait for the condition; False where the limit came first."""
    if limit <= timedelta():
        return condition()
    try:
        await workflow.wait_condition(condition, timeout=limit, timeout_summary=why)
    except TimeoutError:
        return False
    return True
