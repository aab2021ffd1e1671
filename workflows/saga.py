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
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.kernel import Command
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
from domain.sagas.steps import Answer
from workflows.asking import Desk, NoAnswer
from workflows.messages import (
    Cancellation,
    Decision,
    Intervention,
    RunOptions,
    SagaIdentity,
    SagaResult,
)
from workflows.parking import Parked, Parking
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


@dataclass
class SagaRun:
    """One attempt at a saga, inside a workflow."""

    saga: Saga
    identity: SagaIdentity
    options: RunOptions
    decision: Decision | None = None
    _parking: Parking = field(default_factory=Parking)
    _cancellation: Cancellation | None = None
    _pivot: Literal["ahead", "asked", "done"] = "ahead"
    _back_because: str = ""

    def __post_init__(self) -> None:
        self._timeline = Timeline(self.identity)
        self._desk = Desk(self.identity, self.options, self._timeline)

    # What the workflow's handlers call.

    async def run(self) -> SagaResult:
        """Raises CancelledError, once all is taken back, where Temporal cancelled the workflow."""
        result = await uninterrupted(self._run())
        if result.because == "cancelled" and workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError(result.reason)
        return result

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
                f"{self._pivot_name} was asked already: after that there is no way back",
                type="TooLate",
            )

    def cancel(self, cancellation: Cancellation) -> None:
        self._cancellation = self._cancellation or cancellation

    def may_intervene(self, intervention: Intervention) -> None:
        """Raises ApplicationError of the type `NotParked` or `TooLate`, whose message says why."""
        parked = self._parking.meant_by(intervention)
        if parked is None or intervention.kind == "retry":
            return
        if parked.direction == "undo":
            raise ApplicationError("it is being taken back already", type="TooLate")
        if self._pivot == "done":
            raise ApplicationError(
                f"{self._pivot_name} was done: after that there is no way back", type="TooLate"
            )

    def intervene(self, intervention: Intervention) -> None:
        self._parking.hear(intervention)

    # The story.

    async def _run(self) -> SagaResult:
        identity = self.identity
        started = self._fact(
            SagaStarted,
            saga_type=identity.saga_type,
            shape=self.saga.shape,
            merchant=identity.merchant,
            at_stake=identity.at_stake,
            actor=identity.actor,
            run=workflow.info().first_execution_run_id,
        )
        await self._desk.begin(started)
        to_undo: list[Sequence[Step]] = []
        if turned := await self._promise(to_undo) or await self._cross_pivot():
            return await self._take_back(turned, to_undo)
        for command in self.saga.retriable:
            await self._insist(command)
        return await self._ended(SagaResult(ending="completed", because="", reason=""))

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
        in_doubt = False
        while True:
            deadline = step.deadline or self.options.deadline
            answer = await self._answer(step.name, step.do, "do", deadline)
            if isinstance(answer, Answer):
                if answer.status == "refused":
                    return TurnedBack(answer.outcome, answer.reason, refused=True), False
                return None, True
            if answer.happened is False:
                failed = self._fact(StepFailed, step=step.name, cause=answer.cause)
                return TurnedBack("failed", f"{step.name} failed", told=(failed,)), in_doubt
            in_doubt = True
            unknown = self._fact(StepUnknown, step=step.name, direction="do", cause=answer.cause)
            if step.on_unknown == "compensate":
                reason = f"{step.name} gave no definite answer"
                return TurnedBack("unknown", reason, told=(unknown,)), True
            if turned := await self._park(step.name, "do", answer.cause, unknown):
                return turned, True

    async def _cross_pivot(self) -> TurnedBack | None:
        self._pivot = "asked"
        once_done: list[SagaDecided | SagaEnded] = [
            self._fact(SagaDecided, approved=True, because="", reason="")
        ]
        if not self.saga.retriable:
            once_done.append(self._completed())
        while True:
            pivot, limit = self.saga.pivot, self.options.patience
            answer = await self._answer(self._pivot_name, pivot, "do", limit, once_done=once_done)
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
        once_done = [self._completed()] if command is self.saga.retriable[-1] else []
        asked = 1
        while True:
            answer = await self._answer(
                name, command, "do", self.options.patience, once_done=once_done, ask=asked
            )
            if isinstance(answer, NoAnswer):
                await self._park(name, "do", answer.cause)
            elif answer.status == "refused":
                await self._park(name, "do", f"{answer.outcome}: {answer.reason}")
                asked += 1
            else:
                return

    async def _take_back(self, turned: TurnedBack, to_undo: Sequence[Sequence[Step]]) -> SagaResult:
        because, reason = turned.because, turned.reason
        self._back_because = because
        wished = []
        if wish := self._wish():
            wished = [self._fact(CancelRequested, actor=wish.actor, reason=wish.reason)]
        token = await self._record(
            *turned.told,
            *wished,
            self._fact(SagaDecided, approved=False, because=because, reason=reason),
            self._fact(CompensationStarted, because=because, reason=reason),
            # Also for a workflow that Temporal resets to before this moment: it may not go on.
            closes=self.saga.names,
        )
        self.decision = Decision(approved=False, because=because, reason=reason, token=token)
        self._show()
        for group in reversed(to_undo):
            await side_by_side(self._undo(step) for step in group)
        ending: Ending = "refused" if turned.refused else "compensated"
        await self._record(self._fact(SagaEnded, ending=ending, because=because, reason=reason))
        return await self._ended(SagaResult(ending=ending, because=because, reason=reason))

    async def _undo(self, step: Step) -> None:
        # A pivot that was asked and gave no answer must not land on what was taken back.
        closes = (step.name,) if self._pivot == "ahead" else (step.name, self._pivot_name)
        while True:
            answer = await self._answer(
                step.name, step.undo, "undo", self.options.patience, closes=closes
            )
            if isinstance(answer, Answer):
                return
            await self._park(step.name, "undo", answer.cause)

    async def _ended(self, result: SagaResult) -> SagaResult:
        self._show(ending=result.ending)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    # Waiting for a person, and being told to stop.

    async def _park(
        self, step: str, direction: Direction, cause: str, *told: SagaEvent
    ) -> TurnedBack | None:
        """Wait; None means try again, anything else why the saga has to turn back."""
        parked = Parked(step, direction, cause, workflow.now())
        self._parking.take(parked)
        self._show()
        await self._record(
            *told, self._fact(SagaParked, step=step, direction=direction, cause=cause)
        )
        # A pivot without an answer may be done: only a person can say that it is to be undone.
        cancellable = direction == "do" and self._pivot == "ahead"
        await workflow.wait_condition(
            lambda: parked.resumed_by is not None or (cancellable and self._wish() is not None)
        )
        self._parking.leave(parked)
        self._show(step)
        if (by := parked.resumed_by) is None:
            return self._cancelled()
        resumed = self._fact(
            SagaResumed,
            step=step,
            direction=direction,
            intervention=by.id,
            kind=by.kind,
            actor=by.actor,
            reason=by.reason,
        )
        await self._record(resumed)
        return TurnedBack("intervention", by.reason) if by.kind == "compensate" else None

    def _wish(self) -> Cancellation | None:
        # Temporal can lose a cancellation on its way to the code, but not its reason.
        if self._cancellation is None and (reason := workflow.cancellation_reason()) is not None:
            return Cancellation(actor="temporal", reason=reason or "workflow cancelled")
        return self._cancellation

    def _cancelled(self) -> TurnedBack | None:
        wish = self._wish()
        return TurnedBack("cancelled", wish.reason) if wish else None

    # One step.

    async def _answer(
        self,
        step: str,
        command: Command,
        direction: Direction,
        limit: timedelta,
        *,
        closes: Sequence[str] = (),
        once_done: Sequence[SagaDecided | SagaEnded] = (),
        ask: int = 1,
    ) -> Answer | NoAnswer:
        if command.asks_outside:
            self._show(step)
        key = self._desk.key(step, direction, ask)
        return await self._desk.ask(command, key, limit, tuple(closes), tuple(once_done))

    async def _record(self, *events: SagaEvent, closes: tuple[str, ...] = ()) -> str:
        return await self._desk.record(events, closes)

    @property
    def _pivot_name(self) -> str:
        return type(self.saga.pivot).__name__

    def _fact(self, event: Callable[..., T], **fields: Any) -> T:
        return event(saga=self.identity.saga, attempt=self.identity.attempt, **fields)

    def _completed(self) -> SagaEnded:
        return self._fact(SagaEnded, ending="completed", because="", reason="")

    def _show(self, step: str = "", *, ending: str = "") -> None:
        """Whatever else goes on beside it: what waits for a person is what has to be seen."""
        if parked := self._parking.longest:
            self._timeline.show(
                "parked", step=parked.step, failure=parked.cause, parked_since=parked.since
            )
        else:
            status = ending or ("compensating" if self._back_because else "running")
            self._timeline.show(status, step=step, failure=self._back_because, parked_since=None)


async def side_by_side(stories: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """To the end of all of them: a workflow may not fail while one of its steps is under way."""
    tasks = [asyncio.create_task(story) for story in stories]
    await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]


async def uninterrupted(story: Coroutine[Any, Any, T]) -> T:
    """Await to the end, however often this task is cancelled meanwhile.

    One `asyncio.shield` is not enough: the await it protects ends, and the workflow with it, while
    the work goes on for nobody.
    """
    task = asyncio.create_task(story)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if (me := asyncio.current_task()) is not None:
                me.uncancel()
    return task.result()
