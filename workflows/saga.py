"""Runs a saga: forward to its pivot and on to its end, or back over all that was or may be done.

The rules, and why each is here (`docs/failures.md` tells what every failure leads to):

- A step ends done, refused or unknown. What is done or unknown is taken back, newest first; what
  certainly did not happen is not.
- The saga runs in a task of its own. Temporal's cancellation only reaches the workflow's main task,
  so nothing is ever interrupted half way: the wish is looked at between steps, and a compensation
  does not see it at all.
- Only failures of activities are handled here. Any other exception is a mistake in this code: it
  fails the workflow task, stays visible, and goes on once it is mended.
- A workflow task that is lost runs again, and may see a cancellation, an intervention or a clock
  before the steps that it saw first. So the saga's stream decides whether there is a way back, over
  which steps, and what stands of what people said (`docs/decisions/0022-the-stores-decide.md`).
- An attempt that stopped before its end is not resumed: the next attempt shuts the doors of all
  that stopped since the last end, and takes back what they left or, where a pivot was done, does
  what is left to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.sagas.commands import TurnBack
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
from domain.sagas.records import Begun, Turned
from domain.sagas.steps import Answer, OnceDone
from domain.sagas.story import DEADLINE, Left, Standing
from workflows.answering import Awaited
from workflows.asking import NoAnswer, attempt_closed
from workflows.hearing import Hearing, the_stores_decide
from workflows.messages import Decision, RunOptions, SagaIdentity, SagaResult
from workflows.parking import Parked
from workflows.question import Question
from workflows.shape import Duty, OnFailure, Saga, Step
from workflows.tasks import side_by_side, uninterrupted
from workflows.way_back import WayBack, way_back


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
    told: tuple[SagaEvent, ...] = ()


class SagaRun(Hearing):
    """One attempt at a saga, inside a workflow."""

    def __init__(self, saga: Saga, identity: SagaIdentity, options: RunOptions) -> None:
        super().__init__(saga, identity, options)
        self._questions: dict[str, Question] = {}
        self._remembered: list[Sequence[Step]] = []
        self._is_turning = False
        self._end_is_told = False

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
        begun = await self._begin()
        if begun.ended:
            return await self._has_ended(begun.ended)
        done: set[str] = set()
        if lefts := self._desk.lefts:
            if result := await self._recover(lefts):
                return result
            done = {step for left in lefts for step in left.done}
        if self._pivot == "ahead" and (
            turned_back := await self._promise() or await self._cross_pivot()
        ):
            take_back = self._take_back if the_stores_decide() else self._take_back_as_remembered
            if result := await take_back(turned_back):
                return result
        for group in self.saga.duties:
            await side_by_side(self._insist(duty) for duty in group if duty.name not in done)
        return await self._ended(SagaResult(ending="completed", because="", reason=""))

    async def _begin(self) -> Begun:
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
                repeats=self.saga.repeats,
            )
        )
        attempt = begun.attempt or identity.attempt
        self._desk.identity = replace(identity, attempt=attempt)
        self._desk.lefts = begun.lefts or ((begun.left,) if begun.left else ())
        self._has_begun = True
        return begun

    async def _has_ended(self, ended: SagaEnded) -> SagaResult:
        """Nothing is left to do but what follows the saga."""
        self._back_because = "" if ended.ending == "completed" else ended.because
        self._pivot = "done"
        approved = ended.ending == "completed"
        self.decision = Decision(
            approved=approved, because=ended.because, reason=ended.reason, token=""
        )
        self._end_is_told = True
        return await self._ended(
            SagaResult(ending=ended.ending, because=ended.because, reason=ended.reason)
        )

    # What earlier attempts left.

    async def _recover(self, lefts: Sequence[Left]) -> SagaResult | None:
        """The result, where all that is left of them is their way back."""
        self._check_shape(lefts)
        # What was decided first stands: those after it only finish its way back.
        turned = next((left for left in lefts if left.turned_back), None)
        pivot = self.saga.deciding.name
        if turned is None and any(left.approved or pivot in left.done for left in lefts):
            self._pivot = "done"
            approved = self._fact(SagaDecided, approved=True, because="", reason="")
            token = await self._record("decided", approved)
            self.decision = Decision(approved=True, because="", reason="", token=token)
            return None
        self._back_because = (turned and turned.because) or "superseded"
        self._show()
        for left in reversed(lefts):
            await self._clear_up(left)
        if turned is None or turned.turned_back is None:
            self._back_because = ""
            return None
        because, reason = turned.because, turned.reason
        decided = self._fact(SagaDecided, approved=False, because=because, reason=reason)
        token = await self._record("decided", decided)
        self.decision = Decision(approved=False, because=because, reason=reason, token=token)
        return await self._ended(
            SagaResult(ending=turned.turned_back, because=because, reason=reason)
        )

    def _check_shape(self, lefts: Sequence[Left]) -> None:
        """Raises ApplicationError where an attempt may have done what this shape does not know."""
        for left in lefts:
            asked = set(left.done)
            if left.standing:
                asked |= {*left.standing.passed, *left.standing.unknown} - set(left.not_done)
            if strange := asked - set(self.saga.names):
                names = ", ".join(sorted(strange))
                said = f"attempt {left.attempt} did {names}, unknown to this shape"
                raise ApplicationError(said, type="OtherShape", non_retryable=True)

    async def _clear_up(self, left: Left) -> None:
        """Take back what the attempt left, under its keys: also what nobody knows of."""
        if left.standing is not None:
            await self._undo_all(way_back(self.saga, left.standing), left.standing, left=left)
            return
        asked_anew = Standing(asked_anew=left.asked_anew)
        undone = [
            [step for step in group if step.name not in left.not_done] for group in self.saga.groups
        ]
        await self._undo_all(WayBack(undone, pivot_may_stand=True), asked_anew, left=left)

    # Forward.

    async def _promise(self) -> TurnedBack | None:
        for group in self.saga.groups:
            if turned := await self._settled():
                return turned
            answers = await side_by_side(self._ask_beside(step, group) for step in group)
            self._remembered.append(
                [step for step, (_, undo) in zip(group, answers, strict=True) if undo]
            )
            if back := [turned for turned, _ in answers if turned]:
                # A refusal is what the customer can read, whatever else went wrong beside it.
                told = tuple(event for one in back for event in one.told)
                first = min(back, key=lambda one: (not one.refused, one.beside))
                return replace(first, told=told)
        return await self._settled()

    async def _ask_beside(
        self, step: Step, group: Sequence[Step]
    ) -> tuple[TurnedBack | None, bool]:
        """Nobody is waited for any more once a step beside it has turned the saga back."""
        answer = await self._ask(step)
        if answer[0] and len(group) > 1:
            self._is_turning = self._is_turning or the_stores_decide()
        return answer

    async def _ask(self, step: Step) -> tuple[TurnedBack | None, bool]:
        """Why the saga has to turn back, if it has, and whether this step has to be undone.

        The latter is what a workflow remembers that began before the stream was asked.
        """
        question = self._questions[step.name] = Question.promise(step, self.options)
        awaited, undo = await self._get_done(step, question)
        if isinstance(awaited, TurnedBack):
            return awaited, undo
        for one in awaited:
            if turned_back := await self._hear(step, Awaited(step.name, one.until)):
                return turned_back, True
        return None, True

    async def _get_done(
        self, step: Step, question: Question
    ) -> tuple[TurnedBack | Sequence[AnswerAwaited], bool]:
        """What is awaited once the step is done, or why the saga has to turn back."""
        in_doubt = False
        while True:
            awaited = self._await(step)
            answer = await self._answer(question, once_done=awaited)
            if isinstance(answer, Answer):
                if answer.status == "refused":
                    # What was asked before a correction may have happened all the same.
                    undo = in_doubt and question.ask > 1
                    return TurnedBack(answer.outcome, answer.reason, refused=True), undo
                return [replace(one, until=answer.until or one.until) for one in awaited], True
            if answer.closed:
                return self._closed(answer), True
            in_doubt |= answer.happened is not False
            turned, policy = self._no_yes(step, question, answer)
            if policy == "compensate":
                return turned, in_doubt
            resumed = await self._park(question, answer, *turned.told)
            if isinstance(resumed, TurnedBack):
                return resumed, in_doubt and not resumed.denied
            if resumed.kind == "resolve":
                if awaited and the_stores_decide():
                    await self._desk.record_missing(f"by-hand:{step.name}", awaited)
                return awaited, True

    def _no_yes(
        self, step: Step, question: Question, answer: NoAnswer
    ) -> tuple[TurnedBack, OnFailure]:
        """Why the saga would turn back, and whether the step says that it does."""
        told = (self._unanswered(question, answer),)
        if answer.happened is False:
            return TurnedBack("failed", f"{step.name} failed", told=told), step.on_failure
        said = f"{step.name} gave no definite answer"
        return TurnedBack("unknown", said, told=told), step.on_unknown

    async def _cross_pivot(self) -> TurnedBack | None:
        self._pivot = "asked"
        duty = self.saga.deciding
        question = self._questions[duty.name] = Question.pivot(duty, self.options)
        once_done = self._once_crossed()
        while True:
            answer = await self._answer(question, once_done=once_done)
            if isinstance(answer, Answer):
                if answer.status == "refused":
                    return TurnedBack(answer.outcome, answer.reason, refused=True)
                self._has_crossed(answer.token)
                return None
            if answer.closed:
                return self._closed(answer)
            unanswered = self._unanswered(question, answer, always_unknown=not the_stores_decide())
            resumed = await self._park(question, answer, unanswered)
            if isinstance(resumed, TurnedBack):
                over_pivot = self.saga.shuts_pivot and not resumed.denied
                return replace(resumed, over_pivot=over_pivot)
            if resumed.kind == "resolve":
                self._has_crossed(
                    await self._desk.record_missing(f"by-hand:{duty.name}", once_done)
                )
                return None

    def _once_crossed(self) -> list[OnceDone]:
        approved = self._fact(SagaDecided, approved=True, because="", reason="")
        return [approved] if self.saga.duties else [approved, self._completed()]

    def _has_crossed(self, token: str) -> None:
        self._pivot = "done"
        self._end_is_told = not self.saga.duties
        self.decision = Decision(approved=True, because="", reason="", token=token)

    async def _insist(self, duty: Duty) -> None:
        """After the pivot nothing is given up: what does not get done waits for a person."""
        question = self._questions[duty.name] = Question.duty(duty, self.options)
        # Of several side by side nobody knows which will be the last.
        is_last = self.saga.duties[-1] == (duty,)
        once_done = [self._completed()] if is_last else []
        while True:
            answer = await self._answer(question, once_done=once_done)
            if isinstance(answer, Answer):
                if answer.status == "done":
                    self._end_is_told = bool(once_done)
                    return
                cause = f"{answer.outcome}: {answer.reason}"
                answer = NoAnswer(cause, happened=False, spent=True, refused=True)
            if answer.closed:
                raise attempt_closed(answer.cause)
            resumed = await self._park(question, answer)
            if not isinstance(resumed, TurnedBack) and resumed.kind in {"skip", "resolve"}:
                if once_done:
                    await self._desk.record_missing(f"by-hand:{duty.name}", once_done)
                    self._end_is_told = True
                return

    # Back.

    async def _take_back(self, turned: TurnedBack) -> SagaResult | None:
        """None where the pivot took effect, so that there is no way back."""
        self._back_because = turned.because or "closed"
        wish = self._wish()
        back = await self._desk.turn_back(
            TurnBack(
                because=turned.because,
                reason=turned.reason,
                run=workflow.info().run_id,
                pivot=self.saga.deciding.name,
                over_pivot=turned.over_pivot,
                failed=tuple(one for one in turned.told if isinstance(one, StepFailed)),
                unknown=tuple(one for one in turned.told if isinstance(one, StepUnknown)),
                cancelled=self._cancel_requested(wish.actor, wish.reason) if wish else None,
            )
        )
        if back.crossed:
            self._back_because = ""
            self._has_crossed(await self._desk.record_missing("crossed", self._once_crossed()))
            return None
        self._back_because = back.because
        self._decide_against(back)
        await self._undo_all(way_back(self.saga, back.standing), back.standing)
        return await self._ended(
            SagaResult(ending=back.ending, because=back.because, reason=back.reason)
        )

    async def _take_back_as_remembered(self, turned: TurnedBack) -> SagaResult:
        """By workflows that began before the stream was asked."""
        because, reason = turned.because, turned.reason
        self._back_because = because
        wished = []
        if wish := self._wish():
            wished = [self._cancel_requested(wish.actor, wish.reason)]
        anew = [door for question in self._questions.values() for door in question.doors]
        token = await self._desk.record(
            "turned-back",
            [
                *turned.told,
                *wished,
                self._fact(SagaDecided, approved=False, because=because, reason=reason),
                self._fact(CompensationStarted, because=because, reason=reason),
            ],
            closes=(*self.saga.names, *anew),
        )
        ending: Ending = "refused" if turned.refused else "compensated"
        self._decide_against(
            Turned(crossed=False, because=because, reason=reason, token=token, ending=ending)
        )
        asked_anew = {name: question.ask - 1 for name, question in self._questions.items()}
        way = WayBack(self._remembered, pivot_may_stand=self._pivot != "ahead")
        await self._undo_all(way, Standing(asked_anew=asked_anew), void=False)
        return await self._ended(SagaResult(ending=ending, because=because, reason=reason))

    def _decide_against(self, back: Turned) -> None:
        self.decision = Decision(
            approved=False, because=back.because, reason=back.reason, token=back.token
        )
        self._show()

    async def _undo_all(
        self, way: WayBack, standing: Standing, *, left: Left | None = None, void: bool = True
    ) -> None:
        """Newest first; of this attempt or, where `left` is given, of the one that left it."""
        pivot = self.saga.deciding
        pivot_keys = standing.keys_of(pivot.name) if way.pivot_may_stand else ()
        # What no compensation asks the company about is asked here.
        is_orphan = way.pivot_may_stand and pivot.do.asks_outside and not self.saga.shuts_pivot
        orphans: list[Step | Duty] = [*way.orphans, *([pivot] if is_orphan and void else [])]
        for orphan in reversed(orphans):
            question = Question.void(orphan, self.options)
            await self._undo(question, standing.keys_of(orphan.name), left)
        for group in reversed(way.groups):
            await side_by_side(
                self._undo(
                    Question.compensation(step, self.options),
                    standing.keys_of(step.name) + pivot_keys,
                    left,
                )
                for step in group
            )

    async def _undo(self, question: Question, closes: tuple[str, ...], left: Left | None) -> None:
        while True:
            answer = await self._answer(question, closes=closes, left=left)
            if isinstance(answer, Answer):
                return
            if answer.closed:
                raise attempt_closed(answer.cause)
            resumed = await self._park(question, answer)
            if not isinstance(resumed, TurnedBack) and resumed.kind in {"skip", "resolve"}:
                return

    async def _ended(self, result: SagaResult) -> SagaResult:
        if not self._end_is_told:
            await self._record("ended", self._fact(SagaEnded, **vars(result)))
        self._show(ending=result.ending)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    # Waiting for a person, and being told to stop.

    async def _park(
        self, question: Question, answer: NoAnswer, *told: SagaEvent
    ) -> TurnedBack | SagaResumed:
        """Wait for what a person says; or why the saga has to turn back."""
        parked = Parked(
            step=question.step,
            role=question.role,
            command=question.command,
            cause=answer.cause,
            in_doubt=answer.happened is not False,
            since=workflow.now(),
            keys=tuple(question.doors),
        )
        step, direction = parked.step, parked.direction
        self._parking.take(parked)
        self._show()
        await self._record(
            f"parked:{parked.place}",
            *told,
            self._fact(SagaParked, step=step, direction=direction, cause=parked.cause),
        )
        parked.shown = True
        # A pivot without an answer may be done: only a person can say that it is to be undone.
        is_promise = parked.role == "promise"

        def enough() -> bool:
            is_left = is_promise and not parked.claimed and self._is_over()
            return parked.goes_on or is_left

        await workflow.wait_condition(enough)
        self._parking.leave(parked)
        self._show(step)
        if not parked.goes_on:
            return await self._turned_beside()
        by = parked.resumed or await self._resumed_as_remembered(parked)
        if by.kind == "correct" and parked.correction is not None:
            question.correct(parked.correction)
        elif by.kind == "retry" and answer.spent:
            question.new_key(supersedes=not answer.refused)
        if by.kind == "compensate" or not by.happened:
            return TurnedBack("intervention", by.reason, denied=not by.happened)
        return by

    async def _resumed_as_remembered(self, parked: Parked) -> SagaResumed:
        """By workflows that began before the stream was asked."""
        by = parked.resumed_by
        assert by is not None
        is_corrected = by.kind == "correct"
        resumed = self._resumed(parked, by, parked.correction if is_corrected else None)
        by_hand = by.kind in {"skip", "resolve"}
        name, closes = f"resumed:{parked.place}", parked.keys if by_hand else ()
        await self._desk.record(name, [resumed], closes)
        return resumed

    def _await(self, step: Step) -> list[AnswerAwaited]:
        """Until when an answer is awaited, where one is; it is told once the step is done."""
        if step.answered_within is None:
            return []
        until = workflow.now() + step.answered_within
        return [self._fact(AnswerAwaited, step=step.name, until=until)]

    async def _hear(self, step: Step, awaited: Awaited) -> TurnedBack | None:
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
        if said := awaited.verdict:
            answered = replace(
                answered, approved=said.approved, actor=said.actor, reason=said.reason
            )
        told: tuple[SagaEvent, ...] = ()
        if awaited.stands is None and not the_stores_decide():
            if answered.approved:
                await self._record(f"answered:{step.name}", answered)
                return None
            told = (answered,)
        else:
            answered = awaited.stands or await self._desk.answer(answered)
        if answered.approved:
            return None
        because = "NotAnswered" if answered.actor == DEADLINE else "Declined"
        return TurnedBack(because, answered.reason, refused=True, told=told)

    def _is_over(self) -> bool:
        """Whether there is nothing to wait for: the saga turns back, or is to be cancelled."""
        return self._is_turning or self._wish() is not None

    async def _turned_beside(self) -> TurnedBack:
        turned = TurnedBack("superseded", "a step beside it turned the saga back", beside=True)
        return await self._settled() or turned

    async def _settled(self) -> TurnedBack | None:
        """Why the saga turns back, once the stream has said whether it is cancelled."""
        if self._being_cancelled:
            await workflow.wait_condition(lambda: not self._being_cancelled)
        return self._cancelled()

    def _cancelled(self) -> TurnedBack | None:
        wish = self._wish()
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

    async def _record(self, name: str, *events: SagaEvent) -> str:
        return await self._desk.record(name, events)

    def _unanswered(
        self, question: Question, answer: NoAnswer, *, always_unknown: bool = False
    ) -> StepFailed | StepUnknown:
        if answer.happened is False and not always_unknown:
            return self._fact(StepFailed, step=question.step, cause=answer.cause)
        return self._fact(StepUnknown, step=question.step, direction="do", cause=answer.cause)

    def _cancel_requested(self, actor: str, reason: str) -> CancelRequested:
        return self._fact(CancelRequested, actor=actor, reason=reason)

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
