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
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from temporalio import workflow

from handrail.sagas.approvals import PendingApproval
from handrail.sagas.cancellation import run_uncancellable, side_by_side
from handrail.sagas.control import the_stores_decide
from handrail.sagas.definition import OnFailure, RetriableStep, Step
from handrail.sagas.events import NOTHING_AT_STAKE, AnswerAwaited, SagaEnded, SagaStarted
from handrail.sagas.options import Decision, SagaResult
from handrail.sagas.rollback import Rollback
from handrail.sagas.step_executor import NoAnswer, attempt_closed
from handrail.sagas.step_keys import Answer
from handrail.sagas.step_request import StepRequest
from handrail.sagas.stream_answers import Begun
from handrail.sagas.waiting import TurnedBack


class SagaExecution(Rollback):
    """One attempt at a saga, inside a workflow."""

    async def run(
        self, before_end: Callable[[SagaResult], Awaitable[None]] | None = None
    ) -> SagaResult:
        """Raises CancelledError, once all is taken back, where Temporal cancelled the workflow.

        `before_end` is what has to follow where the saga does not complete. It is seen to before
        the end is recorded: a workflow that is terminated in it leaves a saga that has not ended,
        and the next attempt sees to it again. So it has to be done once however often it is begun.
        """
        self._before_end = before_end
        result = await run_uncancellable(self._run())
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
        if previous_attempts := self._executor.previous_attempts:
            if result := await self._recover(previous_attempts):
                return result
            done = {step for previous in previous_attempts for step in previous.done}
        if self._pivot == "ahead" and (
            turned_back := await self._run_compensatable() or await self._run_pivot()
        ):
            take_back = self._compensate if the_stores_decide() else self._compensate_as_remembered
            if result := await take_back(turned_back):
                return result
        for group in self.saga.retriable_groups:
            await side_by_side(self._run_retriable(step) for step in group if step.name not in done)
        return await self._ended(SagaResult(ending="completed", because="", reason=""))

    async def _begin(self) -> Begun:
        identity = self.identity
        begun = await self._executor.begin(
            self._fact(
                SagaStarted,
                saga_type=identity.saga_type,
                shape=self.saga.shape,
                tenant=identity.tenant,
                at_stake=identity.at_stake or NOTHING_AT_STAKE,
                actor=identity.actor,
                run=workflow.info().first_execution_run_id,
                opened_on=workflow.info().workflow_start_time.date(),
                steps=self.saga.names,
                repeats=self.saga.repeats,
                input=_written(identity.input),
                subject=identity.subject,
            )
        )
        attempt = begun.attempt or identity.attempt
        self._executor.identity = replace(identity, attempt=attempt)
        self._executor.previous_attempts = begun.lefts or ((begun.left,) if begun.left else ())
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

    # Forward.

    async def _run_compensatable(self) -> TurnedBack | None:
        for group in self.saga.groups:
            if turned := await self._settled():
                return turned
            answers = await side_by_side(self._ask_beside(step, group) for step in group)
            self._remembered.append(
                [step for step, (_, undo) in zip(group, answers, strict=True) if undo]
            )
            if back := [turned for turned, _ in answers if turned]:
                # A refusal is what can be read outside, whatever else went wrong beside it.
                recorded = tuple(event for one in back for event in one.recorded)
                first = min(back, key=lambda one: (not one.refused, one.beside))
                return replace(first, recorded=recorded)
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
        request = self._as_corrected(StepRequest.compensatable(step, self.options))
        self._requests[step.name] = request
        awaited, undo = await self._get_done(step, request)
        if isinstance(awaited, TurnedBack):
            return awaited, undo
        for one in awaited:
            if turned_back := await self._await_answer(step, PendingApproval(step.name, one.until)):
                return turned_back, True
        return None, True

    async def _get_done(
        self, step: Step, request: StepRequest
    ) -> tuple[TurnedBack | Sequence[AnswerAwaited], bool]:
        """What is awaited once the step is done, or why the saga has to turn back."""
        in_doubt = False
        while True:
            awaited = self._await(step)
            answer = await self._answer(request, once_done=awaited)
            if isinstance(answer, Answer):
                if answer.status == "refused":
                    # What was asked before a correction may have happened all the same.
                    undo = in_doubt and request.ask > 1
                    return TurnedBack(answer.outcome, answer.reason, refused=True), undo
                return [replace(one, until=answer.until or one.until) for one in awaited], True
            if answer.closed:
                return self._closed(answer), True
            in_doubt |= answer.happened is not False
            turned, policy = self._classify_failure(step, request, answer)
            if policy == "compensate":
                return turned, in_doubt
            resumed = await self._park(request, answer, *turned.recorded)
            if isinstance(resumed, TurnedBack):
                return resumed, in_doubt and not resumed.denied
            if resumed.kind == "resolve":
                if awaited and the_stores_decide():
                    await self._executor.record_missing(f"by-hand:{step.name}", awaited)
                return awaited, True

    def _classify_failure(
        self, step: Step, request: StepRequest, answer: NoAnswer
    ) -> tuple[TurnedBack, OnFailure]:
        """Why the saga would turn back, and whether the step says that it does."""
        recorded = (self._unanswered(request, answer),)
        if answer.happened is False:
            return TurnedBack("failed", f"{step.name} failed", recorded=recorded), step.on_failure
        message = f"{step.name} gave no definite answer"
        return TurnedBack("unknown", message, recorded=recorded), step.on_unknown

    async def _run_pivot(self) -> TurnedBack | None:
        self._pivot = "asked"
        step = self.saga.pivot_step
        request = self._as_corrected(StepRequest.pivot(step, self.options))
        self._requests[step.name] = request
        once_done = self._once_crossed()
        while True:
            answer = await self._answer(request, once_done=once_done)
            if isinstance(answer, Answer):
                if answer.status == "refused":
                    return TurnedBack(answer.outcome, answer.reason, refused=True)
                self._has_crossed(answer.token)
                return None
            if answer.closed:
                return self._closed(answer)
            unanswered = self._unanswered(request, answer, always_unknown=not the_stores_decide())
            resumed = await self._park(request, answer, unanswered)
            if isinstance(resumed, TurnedBack):
                over_pivot = self.saga.can_void_pivot and not resumed.denied
                return replace(resumed, over_pivot=over_pivot)
            if resumed.kind == "resolve":
                self._has_crossed(
                    await self._executor.record_missing(f"by-hand:{step.name}", once_done)
                )
                return None

    async def _run_retriable(self, step: RetriableStep) -> None:
        """After the pivot nothing is given up: what does not get done waits for a person."""
        request = self._as_corrected(StepRequest.retriable(step, self.options))
        self._requests[step.name] = request
        # Of several side by side nobody knows which will be the last.
        is_last = self.saga.retriable_groups[-1] == (step,)
        once_done = [self._completed()] if is_last else []
        while True:
            answer = await self._answer(request, once_done=once_done)
            if isinstance(answer, Answer):
                if answer.status == "done":
                    self._end_is_told = bool(once_done)
                    return
                cause = f"{answer.outcome}: {answer.reason}"
                answer = NoAnswer(cause, happened=False, spent=True, refused=True)
            if answer.closed:
                raise attempt_closed(answer.cause)
            resumed = await self._park(request, answer)
            if not isinstance(resumed, TurnedBack) and resumed.kind in {"skip", "resolve"}:
                if once_done:
                    await self._executor.record_missing(f"by-hand:{step.name}", once_done)
                    self._end_is_told = True
                return


def _written(input_: Any) -> str:
    """As JSON, as the workflow's own converter writes it; empty where there is none."""
    if input_ is None:
        return ""
    return workflow.payload_converter().to_payload(input_).data.decode()
