"""Runs a saga: forward to its pivot and on to its end, or back over all that was or may be done.

The rules, and why each is here (`docs/failures.md` tells what every failure leads to):

- A step ends done, refused or unknown. What is done or unknown is taken back, newest first; what
  certainly did not happen is not.
- The saga runs in a task of its own. Temporal's cancellation only reaches the workflow's main task,
  so nothing is ever interrupted half way: the wish is looked at between steps, and a compensation
  does not see it at all.
- Only failures of activities are handled here. Any other exception is a mistake in this code: it
  fails the workflow task, stays visible, and goes on once it is mended.
- An attempt that stopped before its end is not resumed: the next attempt shuts its doors, and takes
  back what it left or, where its pivot was done, does what is left to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.sagas.events import (
    AnswerAwaited,
    AnswerReminded,
    CancelRequested,
    CompensationStarted,
    Ending,
    SagaDecided,
    SagaEnded,
    SagaEvent,
    SagaParked,
    SagaResumed,
    SagaStarted,
    StepAnswered,
    StepFailed,
    StepUnknown,
)
from domain.sagas.steps import Answer, OnceDone
from domain.sagas.story import Left
from workflows.answering import Awaited
from workflows.asking import Desk, NoAnswer
from workflows.correcting import in_words
from workflows.hearing import Hearing
from workflows.messages import (
    Decision,
    Intervention,
    RunOptions,
    SagaIdentity,
    SagaResult,
    Verdict,
)
from workflows.parking import Parked
from workflows.question import Question
from workflows.shape import Duty, OnFailure, Saga, Step
from workflows.tasks import side_by_side, uninterrupted
from workflows.timeline import Timeline

T = TypeVar("T")


@dataclass(frozen=True)
class TurnedBack:
    """Why the saga goes back; `refused` by the business, or for another reason."""

    because: str
    reason: str
    refused: bool = False
    told: tuple[SagaEvent, ...] = ()


class SagaRun(Hearing):
    """One attempt at a saga, inside a workflow."""

    def __init__(self, saga: Saga, identity: SagaIdentity, options: RunOptions) -> None:
        super().__init__(saga)
        self.identity = identity
        self.options = options
        self._questions: dict[str, Question] = {}
        self._end_is_told = False
        self._left: Left | None = None
        self._timeline = Timeline(identity)
        self._desk = Desk(identity, options, self._timeline)

    async def run(self) -> SagaResult:
        """Raises CancelledError, once all is taken back, where Temporal cancelled the workflow."""
        result = await uninterrupted(self._run())
        if result.because == "cancelled" and workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError(result.reason)
        return result

    # The story.

    async def _run(self) -> SagaResult:
        if self.options.shape not in {0, self.saga.shape}:
            # No failure of the saga: its task is tried again by a worker that knows the shape.
            began, known = self.options.shape, self.saga.shape
            raise RuntimeError(f"it began in shape {began}, and this code knows {known}")
        if turned := await self._begin():
            return turned
        to_undo: list[Sequence[Step]] = []
        if self._pivot == "ahead" and (
            turned_back := await self._promise(to_undo) or await self._cross_pivot()
        ):
            return await self._take_back(turned_back, to_undo)
        for group in self.saga.duties:
            undone = [one for one in group if not self._left or one.name not in self._left.done]
            await side_by_side(self._insist(duty) for duty in undone)
        return await self._ended(SagaResult(ending="completed", because="", reason=""))

    async def _begin(self) -> SagaResult | None:
        """The result, where all that is left of an earlier attempt is its way back."""
        identity = self.identity
        begun = await self._desk.begin(
            self._fact(
                SagaStarted,
                saga_type=identity.saga_type,
                shape=self.saga.shape,
                merchant=identity.merchant,
                at_stake=identity.at_stake,
                actor=identity.actor,
                run=workflow.info().first_execution_run_id,
                opened_on=workflow.info().workflow_start_time.date(),
                steps=self.saga.names,
            )
        )
        self._left = self._desk.left = left = begun.left
        if left is None:
            return None
        if strange := set(left.done) - set(self.saga.names):
            said = f"attempt {left.attempt} did {', '.join(sorted(strange))}, unknown to this shape"
            raise ApplicationError(said, type="OtherShape", non_retryable=True)
        if left.approved or self.saga.deciding.name in left.done:
            self._pivot = "done"
            token = await self._record(
                self._fact(SagaDecided, approved=True, because="", reason="")
            )
            self.decision = Decision(approved=True, because="", reason="", token=token)
            return None
        return await self._clear_up(left)

    async def _clear_up(self, left: Left) -> SagaResult | None:
        """Take back what the earlier attempt left, under its keys: also what nobody knows of."""
        self._back_because = left.because or "superseded"
        self._show()
        for group in reversed(self.saga.groups):
            undone = [step for step in group if step.name not in left.not_done]
            await side_by_side(self._undo(step, left=left) for step in undone)
        if left.turned_back is None:
            self._back_because = ""
            return None
        because, reason = left.because, left.reason
        token = await self._record(
            self._fact(SagaDecided, approved=False, because=because, reason=reason)
        )
        self.decision = Decision(approved=False, because=because, reason=reason, token=token)
        return await self._ended(
            SagaResult(ending=left.turned_back, because=because, reason=reason)
        )

    async def _promise(self, to_undo: list[Sequence[Step]]) -> TurnedBack | None:
        for group in self.saga.groups:
            if turned := self._cancelled():
                return turned
            answers = await side_by_side(self._ask(step) for step in group)
            to_undo.append([step for step, (_, undo) in zip(group, answers, strict=True) if undo])
            if back := [turned for turned, _ in answers if turned]:
                # A refusal is what the customer can read, whatever else went wrong beside it.
                told = tuple(event for one in back for event in one.told)
                return replace(next((one for one in back if one.refused), back[0]), told=told)
        return self._cancelled()

    async def _ask(self, step: Step) -> tuple[TurnedBack | None, bool]:
        """Why the saga has to turn back, if it has, and whether this step has to be undone."""
        question = self._questions[step.name] = Question.promise(step, self.options)
        in_doubt = False
        while True:
            awaited = self._await(step)
            answer = await self._answer(question, once_done=[fact for _, fact in awaited])
            if isinstance(answer, Answer):
                if answer.status == "refused":
                    # What was asked before a correction may have happened all the same.
                    undo = in_doubt and question.ask > 1
                    return TurnedBack(answer.outcome, answer.reason, refused=True), undo
                break
            in_doubt |= answer.happened is not False
            turned, policy = self._no_yes(step, question, answer)
            if policy == "compensate":
                return turned, in_doubt
            resumed = await self._park(question, answer, *turned.told)
            if isinstance(resumed, TurnedBack):
                return resumed, in_doubt
            if resumed.kind == "resolve" and not resumed.happened:
                return TurnedBack("intervention", resumed.reason), False
            if resumed.kind == "resolve":
                break
        for one, _ in awaited:
            if turned_back := await self._hear(step, one):
                return turned_back, True
        return None, True

    def _no_yes(
        self, step: Step, question: Question, answer: NoAnswer
    ) -> tuple[TurnedBack, OnFailure]:
        """Why the saga would turn back, and whether the step says that it does."""
        if answer.happened is False:
            failed = self._fact(StepFailed, step=step.name, cause=answer.cause)
            return TurnedBack("failed", f"{step.name} failed", told=(failed,)), step.on_failure
        said = f"{step.name} gave no definite answer"
        unknown = self._unknown(question, answer)
        return TurnedBack("unknown", said, told=(unknown,)), step.on_unknown

    async def _cross_pivot(self) -> TurnedBack | None:
        self._pivot = "asked"
        duty = self.saga.deciding
        question = self._questions[duty.name] = Question.pivot(duty, self.options)
        approved = self._fact(SagaDecided, approved=True, because="", reason="")
        once_done: list[OnceDone] = [approved]
        if not self.saga.duties:
            once_done.append(self._completed())
        while True:
            answer = await self._answer(question, once_done=once_done)
            if isinstance(answer, Answer):
                if answer.status == "refused":
                    return TurnedBack(answer.outcome, answer.reason, refused=True)
                self._end_is_told = not self.saga.duties
                token = answer.token
                break
            unknown = self._unknown(question, answer)
            resumed = await self._park(question, answer, unknown)
            if isinstance(resumed, TurnedBack):
                return resumed
            if resumed.kind == "resolve":
                if not resumed.happened:
                    return TurnedBack("intervention", resumed.reason)
                token = await self._desk.record_missing(once_done)
                self._end_is_told = not self.saga.duties
                break
        self._pivot = "done"
        self.decision = Decision(approved=True, because="", reason="", token=token)
        return None

    async def _insist(self, duty: Duty) -> None:
        """After the pivot nothing is given up: what does not get done waits for a person."""
        question = self._questions[duty.name] = Question.duty(duty, self.options)
        # Of several side by side nobody knows which will be the last.
        is_last = self.saga.duties[-1] == (duty,)
        once_done = [self._completed()] if is_last else []
        while True:
            answer = await self._answer(question, once_done=once_done)
            if isinstance(answer, Answer) and answer.status == "done":
                self._end_is_told = bool(once_done)
                return
            if refused := isinstance(answer, Answer):
                answer = NoAnswer(f"{answer.outcome}: {answer.reason}", happened=False)
            resumed = await self._park(question, answer)
            if not isinstance(resumed, TurnedBack) and resumed.kind in {"skip", "resolve"}:
                if once_done:
                    await self._desk.record_missing(once_done)
                    self._end_is_told = True
                return
            if refused and not isinstance(resumed, TurnedBack) and resumed.kind == "retry":
                question.anew()

    async def _take_back(self, turned: TurnedBack, to_undo: Sequence[Sequence[Step]]) -> SagaResult:
        because, reason = turned.because, turned.reason
        self._back_because = because
        wished = []
        if wish := self._wish():
            wished = [self._fact(CancelRequested, actor=wish.actor, reason=wish.reason)]
        anew = [door for question in self._questions.values() for door in question.doors]
        token = await self._record(
            *turned.told,
            *wished,
            self._fact(SagaDecided, approved=False, because=because, reason=reason),
            self._fact(CompensationStarted, because=because, reason=reason),
            # Also for a workflow that Temporal resets to before this moment: it may not go on.
            closes=(*self.saga.names, *anew),
        )
        self.decision = Decision(approved=False, because=because, reason=reason, token=token)
        self._show()
        for group in reversed(to_undo):
            await side_by_side(self._undo(step) for step in group)
        ending: Ending = "refused" if turned.refused else "compensated"
        return await self._ended(SagaResult(ending=ending, because=because, reason=reason))

    async def _undo(self, step: Step, *, left: Left | None = None) -> None:
        """Take back what this attempt did or, where `left` is given, what that one did."""
        question = Question.compensation(step, self.options)
        closes = self._doors_of(step.name, left)
        # A pivot that was asked and gave no answer must not land on what was taken back.
        if left or self._pivot != "ahead":
            closes += self._doors_of(self.saga.deciding.name, left)
        while True:
            answer = await self._answer(question, closes=closes, left=left)
            if isinstance(answer, Answer):
                return
            resumed = await self._park(question, answer)
            if not isinstance(resumed, TurnedBack) and resumed.kind in {"skip", "resolve"}:
                return

    async def _ended(self, result: SagaResult) -> SagaResult:
        if not self._end_is_told:
            await self._record(self._fact(SagaEnded, **vars(result)))
        self._show(ending=result.ending)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    # Waiting for a person, and being told to stop.

    async def _park(
        self, question: Question, answer: NoAnswer, *told: SagaEvent
    ) -> TurnedBack | Intervention:
        """Wait for what a person says; or why the saga has to turn back."""
        parked = Parked(
            step=question.step,
            role=question.role,
            command=question.command,
            cause=answer.cause,
            in_doubt=answer.happened is not False,
            since=workflow.now(),
        )
        step, direction = parked.step, parked.direction
        self._parking.take(parked)
        self._show()
        await self._record(
            *told, self._fact(SagaParked, step=step, direction=direction, cause=parked.cause)
        )
        # A pivot without an answer may be done: only a person can say that it is to be undone.
        cancellable = parked.role == "promise"
        await workflow.wait_condition(
            lambda: parked.resumed_by is not None or (cancellable and self._wish() is not None)
        )
        self._parking.leave(parked)
        self._show(step)
        if (by := parked.resumed_by) is None:
            return self._cancelled() or TurnedBack("cancelled", "")
        correction = ""
        if parked.correction is not None and by.kind == "correct":
            correction = in_words(question.command, parked.correction)
            question.correct(parked.correction)
        resumed = self._fact(
            SagaResumed,
            step=step,
            direction=direction,
            intervention=by.id,
            kind=by.kind,
            actor=by.actor,
            reason=by.reason,
            evidence=by.evidence,
            correction=correction,
        )
        by_hand = by.kind in {"skip", "resolve"}
        await self._record(resumed, closes=tuple(question.doors) if by_hand else ())
        return TurnedBack("intervention", by.reason) if by.kind == "compensate" else by

    def _await(self, step: Step) -> list[tuple[Awaited, AnswerAwaited]]:
        """Until when an answer is awaited, where one is; what is told once it was asked for."""
        if step.answered_within is None:
            return []
        until = workflow.now() + step.answered_within
        return [(Awaited(step.name, until), self._fact(AnswerAwaited, step=step.name, until=until))]

    async def _hear(self, step: Step, awaited: Awaited) -> TurnedBack | None:
        """Why the saga has to turn back, if it has: a no, or no answer in time, is a refusal."""

        def enough() -> bool:
            return awaited.verdict is not None or self._wish() is not None

        self._answers.take(awaited)
        self._show()
        if step.reminded_after and not await _within(step.reminded_after, enough, "reminder"):
            await self._record(self._fact(AnswerReminded, step=step.name, until=awaited.until))
        await _within(awaited.until - workflow.now(), enough, f"answer to {step.name}")
        self._answers.leave(awaited)
        self._show(step.name)
        if awaited.verdict is None and (turned := self._cancelled()):
            return turned
        said = awaited.verdict or Verdict(
            id="", approved=False, actor="deadline", reason="nobody answered in time"
        )
        answered = self._fact(
            StepAnswered,
            step=step.name,
            approved=said.approved,
            actor=said.actor,
            reason=said.reason,
        )
        if said.approved:
            await self._record(answered)
            return None
        because = "Declined" if awaited.verdict else "NotAnswered"
        return TurnedBack(because, said.reason, refused=True, told=(answered,))

    def _cancelled(self) -> TurnedBack | None:
        wish = self._wish()
        return TurnedBack("cancelled", wish.reason) if wish else None

    # One step.

    async def _answer(
        self,
        question: Question,
        *,
        closes: Sequence[str] = (),
        once_done: Sequence[OnceDone] = (),
        left: Left | None = None,
    ) -> Answer | NoAnswer:
        return await self._desk.ask(
            question,
            tuple(closes),
            tuple(once_done),
            left,
            going_out=lambda: self._show(question.step),
        )

    def _doors_of(self, step: str, left: Left | None) -> tuple[str, ...]:
        if left is None:
            return tuple(self._questions[step].doors)
        anew = [f"{one}~{ask}" for one, ask in left.later_asks() if one == step]
        return (step, *anew)

    async def _record(self, *events: SagaEvent, closes: tuple[str, ...] = ()) -> str:
        return await self._desk.record(events, closes)

    def _fact(self, event: Callable[..., T], **fields: Any) -> T:
        return event(saga=self.identity.saga, attempt=self.identity.attempt, **fields)

    def _unknown(self, question: Question, answer: NoAnswer) -> StepUnknown:
        return self._fact(StepUnknown, step=question.step, direction="do", cause=answer.cause)

    def _completed(self) -> SagaEnded:
        return self._fact(SagaEnded, ending="completed", because="", reason="")

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
