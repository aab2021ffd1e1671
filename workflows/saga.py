"""Runs a saga: forward to its pivot and on to its end, or back over all that was or may be done.

The rules, and why each is here (`docs/failures.md` tells what every failure leads to):

- A step ends done, refused or unknown. What is done or unknown is taken back, newest first; what
  certainly did not happen is not.
- The saga runs in a task of its own. Temporal's cancellation only reaches the workflow's main task,
  so nothing is ever interrupted half way: the wish is looked at between steps, and a compensation
  does not see it at all.
- Only failures of activities are handled here. Any other exception is a mistake in this code: it
  fails the workflow task, stays visible, and goes on once it is mended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    is_cancelled_exception,
)

from domain.kernel import Command, MerchantId, Money, context_of
from domain.sagas.events import (
    CancelRequested,
    CompensationStarted,
    Direction,
    Ending,
    SagaDecided,
    SagaEnded,
    SagaEvent,
    SagaParked,
    SagaResumed,
    SagaStarted,
    StepFailed,
    StepUnknown,
)
from domain.sagas.steps import NOT_DONE, Answer, StepContext, StepKey
from workflows.shape import Saga, Step
from workflows.timeline import Timeline

T = TypeVar("T")

@dataclass(frozen=True)
class TurnedBack:
    """Why the saga goes back; `refused` by the business, or for another reason."""

    because: str
    reason: str
    refused: bool = False
    told: tuple[SagaEvent, ...] = ()


@dataclass(frozen=True)
class NoAnswer:
    """No definite yes or no; `happened` is False where it is certain that nothing did."""

    cause: str
    happened: bool | None


@dataclass
class Parked:
    step: str
    direction: Direction
    since: datetime
    resumed_by: Intervention | None = None


@dataclass
class SagaRun:
    """One attempt at a saga, inside a workflow."""

    saga: Saga
    identity: SagaIdentity
    options: RunOptions
    decision: Decision | None = None
    _opened_on: date = field(default_factory=lambda: workflow.now().date())
    _timeline: Timeline = field(default_factory=Timeline)
    _parked: dict[str, Parked] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _cancellation: Cancellation | None = None
    _pivot: Literal["ahead", "asked", "done"] = "ahead"
    _going_back: bool = False
    _journaled: int = 0

    # What the workflow's handlers call.

    async def run(self) -> SagaResult:
        """Raises CancelledError, once all is taken back, where Temporal cancelled the workflow."""
        result = await uninterrupted(self._run())
        await workflow.wait_condition(workflow.all_handlers_finished)
        if result.because == "cancelled" and workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError(result.reason)
        return result

    async def decided(self) -> Decision:
        await workflow.wait_condition(lambda: self.decision is not None)
        assert self.decision is not None
        return self.decision

    def may_cancel(self) -> None:
        """Raises ApplicationError of the type `TooLate`, whose message says why."""
        if self._pivot != "ahead":
            raise ApplicationError(
                f"{self._pivot_name} was asked already: after that there is no way back",
                type="TooLate",
            )
        if self._going_back:
            raise ApplicationError("it is being taken back already", type="TooLate")

    def cancel(self, cancellation: Cancellation) -> None:
        self._cancellation = self._cancellation or cancellation

    def may_intervene(self, intervention: Intervention) -> None:
        """Raises ApplicationError of the type `NotParked` or `TooLate`, whose message says why."""
        if intervention.id in self._seen:
            return
        parked = self._parked_step(intervention.step)
        if intervention.kind == "compensate" and (
            parked.direction == "undo" or self._pivot == "done"
        ):
            raise ApplicationError(
                "it is being taken back already"
                if parked.direction == "undo"
                else f"{self._pivot_name} was done: after that there is no way back",
                type="TooLate",
            )

    def intervene(self, intervention: Intervention) -> None:
        if intervention.id not in self._seen:
            self._seen.add(intervention.id)
            self._parked_step(intervention.step).resumed_by = intervention

    # The story.

    async def _run(self) -> SagaResult:
        identity = self.identity
        await self._record(
            SagaStarted(
                saga=identity.saga,
                saga_type=identity.saga_type,
                shape=self.saga.shape,
                attempt=identity.attempt,
                merchant=identity.merchant,
                at_stake=identity.at_stake,
                actor=identity.actor,
            )
        )
        to_undo: list[Sequence[Step]] = []
        if turned := await self._promise(to_undo) or await self._cross_pivot():
            return await self._take_back(turned, to_undo)
        for command in self.saga.retriable:
            await self._insist(command)
        return self._ended(SagaResult(ending="completed", because="", reason=""))

    async def _promise(self, to_undo: list[Sequence[Step]]) -> TurnedBack | None:
        for group in self.saga.groups:
            if turned := self._cancelled():
                return turned
            answers = await asyncio.gather(*(self._ask(step) for step in group))
            to_undo.append([step for step, (_, undo) in zip(group, answers, strict=True) if undo])
            if back := next((turned for turned, _ in answers if turned), None):
                return back
        return self._cancelled()

    async def _ask(self, step: Step) -> tuple[TurnedBack | None, bool]:
        """Why the saga has to turn back, if it has, and whether this step has to be undone."""
        while True:
            answer = await self._answer(
                step.name, step.do, "do", step.deadline or self._seconds("deadline")
            )
            if isinstance(answer, Answer):
                if answer.status == "refused":
                    return TurnedBack(answer.outcome, answer.reason, refused=True), False
                return None, True
            if answer.happened is False:
                failed = self._fact(StepFailed, step=step.name, cause=answer.cause)
                return TurnedBack("failed", f"{step.name} failed", told=(failed,)), False
            unknown = self._fact(StepUnknown, step=step.name, direction="do", cause=answer.cause)
            if step.on_unknown == "compensate":
                reason = f"{step.name} gave no definite answer"
                return TurnedBack("unknown", reason, told=(unknown,)), True
            if turned := await self._park(step.name, "do", answer.cause, unknown):
                return turned, True

    async def _cross_pivot(self) -> TurnedBack | None:
        self._pivot = "asked"
        approved = self._fact(SagaDecided, approved=True, because="", reason="")
        ended = () if self.saga.retriable else (self._completed(),)
        while True:
            answer = await self._answer(
                self._pivot_name,
                self.saga.pivot,
                "do",
                self._seconds("patience"),
                once_done=(approved, *ended),
            )
            if isinstance(answer, Answer):
                if answer.status == "refused":
                    return TurnedBack(answer.outcome, answer.reason, refused=True)
                self._pivot = "done"
                self.decision = Decision(approved=True, because="", reason="", token=answer.token)
                return None
            unknown = self._fact(
                StepUnknown, step=self._pivot_name, direction="do", cause=answer.cause
            )
            if turned := await self._park(self._pivot_name, "do", answer.cause, unknown):
                return turned

    async def _insist(self, command: Command) -> None:
        """After the pivot nothing is given up: what does not get done waits for a person."""
        name = type(command).__name__
        last = command is self.saga.retriable[-1]
        asked = 1
        while True:
            answer = await self._answer(
                name,
                command,
                "do",
                self._seconds("patience"),
                once_done=(self._completed(),) if last else (),
                ask=asked,
            )
            if isinstance(answer, NoAnswer):
                await self._park(name, "do", answer.cause)
            elif answer.status == "refused":
                await self._park(name, "do", f"{answer.outcome}: {answer.reason}")
                asked += 1
            else:
                return

    async def _take_back(self, turned: TurnedBack, to_undo: Sequence[Sequence[Step]]) -> SagaResult:
        self._going_back = True
        because, reason = turned.because, turned.reason
        token = await self._record(
            *turned.told,
            self._fact(SagaDecided, approved=False, because=because, reason=reason),
            self._fact(CompensationStarted, because=because, reason=reason),
        )
        self.decision = Decision(approved=False, because=because, reason=reason, token=token)
        self._show("compensating", step="", failure=because)
        for group in reversed(to_undo):
            await asyncio.gather(*(self._undo(step) for step in group))
        ending: Ending = "refused" if turned.refused else "compensated"
        await self._record(self._fact(SagaEnded, ending=ending, because=because, reason=reason))
        return self._ended(SagaResult(ending=ending, because=because, reason=reason))

    async def _undo(self, step: Step) -> None:
        # A pivot that was asked and gave no answer must not land on what was taken back.
        closes = (step.name,) if self._pivot == "ahead" else (step.name, self._pivot_name)
        while True:
            answer = await self._answer(
                step.name, step.undo, "undo", self._seconds("patience"), closes=closes
            )
            if isinstance(answer, Answer):
                return
            await self._park(step.name, "undo", answer.cause)

    # Waiting for a person.

    async def _park(
        self, step: str, direction: Direction, cause: str, *told: SagaEvent
    ) -> TurnedBack | None:
        """Wait; None means try again, anything else why the saga has to turn back."""
        parked = self._parked[step] = Parked(step, direction, workflow.now())
        await self._record(
            *told, self._fact(SagaParked, step=step, direction=direction, cause=cause)
        )
        self._show("parked", step=step, failure=cause)
        # A pivot without an answer may have been done: only a person can say that it is to be undone.
        cancellable = direction == "do" and self._pivot == "ahead"
        await workflow.wait_condition(
            lambda: parked.resumed_by is not None or (cancellable and bool(self._cancelled()))
        )
        del self._parked[step]
        by = parked.resumed_by
        if by is None:
            return self._cancelled()
        await self._record(
            self._fact(
                SagaResumed,
                step=step,
                direction=direction,
                intervention=by.id,
                kind=by.kind,
                actor=by.actor,
                reason=by.reason,
            )
        )
        self._show("compensating" if self._going_back else "running", step=step, failure="")
        return TurnedBack("intervention", by.reason) if by.kind == "compensate" else None

    def _parked_step(self, step: str) -> Parked:
        waiting = [one for one in self._parked.values() if one.resumed_by is None]
        found = [one for one in waiting if not step or one.step == step]
        if len(found) != 1:
            names = ", ".join(one.step for one in waiting) or "none"
            raise ApplicationError(
                f"name the one step that is parked; parked now: {names}", type="NotParked"
            )
        return found[0]

    def _cancelled(self) -> TurnedBack | None:
        # Temporal can lose a cancellation on its way to the code, but not its reason.
        wish = self._cancellation
        if wish is None and (reason := workflow.cancellation_reason()) is not None:
            wish = Cancellation(actor="temporal", reason=reason or "workflow cancelled")
        if wish is None:
            return None
        told = self._fact(CancelRequested, actor=wish.actor, reason=wish.reason)
        return TurnedBack("cancelled", wish.reason, told=(told,))

    # One step.

    async def _answer(
        self,
        step: str,
        command: Command,
        direction: Direction,
        limit: timedelta,
        *,
        closes: tuple[str, ...] = (),
        once_done: tuple[SagaDecided | SagaEnded, ...] = (),
        ask: int = 1,
    ) -> Answer | NoAnswer:
        context = StepContext(
            key=self._key(step, direction, ask),
            actor=self.identity.actor,
            closes=closes,
            once_done=once_done,
        )
        if command.asks_outside:
            self._show("compensating" if self._going_back else "running", step=step)
        started = workflow.now()
        try:
            answer = await self._execute(command, context, limit)
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            no_answer = _no_answer(failure)
            self._note(started, step, direction, no_answer.cause)
            return no_answer
        self._note(started, step, direction, answer.reason or answer.outcome or "nothing to do")
        return answer

    async def _execute(self, command: Command, context: StepContext, limit: timedelta) -> Answer:
        name = type(command).__name__
        queue = None
        if command.asks_outside or self.options.steps == "queues":
            queue = self.options.queue_prefix + context_of(type(command))
        return await _activity(name, [command, context], queue, limit, context.key)

    async def _record(self, *events: SagaEvent) -> str:
        """Tell the saga's own stream; answers the token. Tried for as long as it takes."""
        self._journaled += 1
        context = StepContext(
            key=self._key(f"journal:{self._journaled}", "do"), actor=self.identity.actor
        )
        queue = None
        if self.options.steps == "queues":
            queue = self.options.queue_prefix + "sagas"
        answer = await _activity("RecordSaga", [events, context], queue, None, context.key)
        return answer.token

    def _key(self, step: str, direction: Direction, ask: int = 1) -> StepKey:
        return StepKey(
            saga=self.identity.saga,
            attempt=self.identity.attempt,
            step=step,
            direction=direction,
            opened_on=self._opened_on,
            ask=ask,
        )

    def _seconds(self, which: Literal["deadline", "patience"]) -> timedelta:
        options = self.options
        return timedelta(
            seconds=options.deadline_seconds if which == "deadline" else options.patience_seconds
        )

    @property
    def _pivot_name(self) -> str:
        return type(self.saga.pivot).__name__

    def _fact(self, event: Callable[..., T], **fields: Any) -> T:
        return event(saga=self.identity.saga, attempt=self.identity.attempt, **fields)

    def _completed(self) -> SagaEnded:
        return self._fact(SagaEnded, ending="completed", because="", reason="")

    # What operators see in Temporal.

    def _ended(self, result: SagaResult) -> SagaResult:
        self._show(result.ending, step="", failure=result.because)
        return result

    def _note(self, started: datetime, step: str, direction: Direction, what: str) -> None:
        self._timeline.add(started, workflow.now(), step, direction, what)
        workflow.set_current_details(self._timeline.markdown())

    def _show(self, status: str, *, step: str, failure: str | None = None) -> None:
        changes: list[Any] = [SAGA_STATUS.value_set(status), SAGA_STEP.value_set(step)]
        if failure is not None:
            changes.append(FAILURE_CODE.value_set(failure[:100]))
        since = min((one.since for one in self._parked.values()), default=None)
        changes.append(PARKED_SINCE.value_set(since) if since else PARKED_SINCE.value_unset())
        workflow.upsert_search_attributes(changes)
        self._timeline.status = status
        workflow.set_current_details(self._timeline.markdown())
