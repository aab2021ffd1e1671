"""The way back of a saga, of this attempt and of those that stopped before it; and its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from handrail.sagas.cancellation import side_by_side
from handrail.sagas.control import SUPERSEDED
from handrail.sagas.corrections import as_corrected
from handrail.sagas.definition import RetriableStep, Saga, Step
from handrail.sagas.events import (
    CompensationStarted,
    Ending,
    SagaDecided,
    SagaEnded,
    StepFailed,
    StepUnknown,
)
from handrail.sagas.options import Decision, RunOptions, SagaIdentity, SagaResult
from handrail.sagas.recovery import Leftovers, Standing
from handrail.sagas.rollback_plan import WayBack, way_back
from handrail.sagas.step_executor import attempt_closed
from handrail.sagas.step_keys import Answer, OnceDone
from handrail.sagas.step_request import StepRequest
from handrail.sagas.stream_answers import Turned
from handrail.sagas.stream_commands import TurnBack
from handrail.sagas.waiting import TurnedBack, Waiting


class Rollback(Waiting):
    """The side of a running saga that decides how it ends, and takes back."""

    def __init__(self, saga: Saga, identity: SagaIdentity, options: RunOptions) -> None:
        super().__init__(saga, identity, options)
        self._requests: dict[str, StepRequest] = {}
        self._remembered: list[Sequence[Step]] = []
        self._end_is_told = False
        self._before_end: Callable[[SagaResult], Awaitable[None]] | None = None

    # What earlier attempts left.

    async def _recover(self, previous_attempts: Sequence[Leftovers]) -> SagaResult | None:
        """The result, where all that is left of them is their way back."""
        self._check_shape(previous_attempts)
        # What was decided first stands: those after it only finish its way back.
        turned = next((previous for previous in previous_attempts if previous.turned_back), None)
        pivot = self.saga.pivot_step.name
        if turned is None and any(
            previous.approved or pivot in previous.done for previous in previous_attempts
        ):
            self._pivot = "done"
            approved = self._fact(SagaDecided, approved=True, because="", reason="")
            token = await self._record("decided", approved)
            self.decision = Decision(approved=True, because="", reason="", token=token)
            return None
        self._back_because = turned.because if turned else SUPERSEDED
        self._show()
        for previous in reversed(previous_attempts):
            await self._recover_previous_attempt(previous)
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

    def _check_shape(self, previous_attempts: Sequence[Leftovers]) -> None:
        """Raises ApplicationError where an attempt may have done what this shape does not know."""
        for previous in previous_attempts:
            if strange := previous.may_stand() - set(self.saga.names):
                names = ", ".join(sorted(strange))
                message = f"attempt {previous.attempt} did {names}, unknown to this shape"
                raise ApplicationError(message, type="OtherShape", non_retryable=True)

    async def _recover_previous_attempt(self, previous: Leftovers) -> None:
        """Take back what the attempt left, under its keys: also what nobody knows of."""
        if previous.standing is not None:
            await self._undo_all(
                way_back(self.saga, previous.standing), previous.standing, previous=previous
            )
            return
        asked_anew = Standing(asked_anew=previous.asked_anew)
        undone = [
            [step for step in group if step.name not in previous.not_done]
            for group in self.saga.groups
        ]
        await self._undo_all(WayBack(undone, pivot_may_stand=True), asked_anew, previous=previous)

    # What this one did.

    async def _compensate(self, turned: TurnedBack) -> SagaResult | None:
        """None where the pivot took effect, so that there is no way back."""
        self._back_because = turned.because or "closed"
        wish = self._cancellation_request()
        back = await self._executor.turn_back(
            TurnBack(
                because=turned.because,
                reason=turned.reason,
                run=workflow.info().run_id,
                pivot=self.saga.pivot_step.name,
                over_pivot=turned.over_pivot,
                failed=tuple(one for one in turned.recorded if isinstance(one, StepFailed)),
                unknown=tuple(one for one in turned.recorded if isinstance(one, StepUnknown)),
                cancelled=self._cancel_requested(wish.actor, wish.reason) if wish else None,
            )
        )
        if back.crossed:
            self._back_because = ""
            self._has_crossed(await self._executor.record_missing("crossed", self._once_crossed()))
            return None
        self._back_because = back.because
        self._decide_against(back)
        await self._undo_all(way_back(self.saga, back.standing), back.standing)
        return await self._ended(
            SagaResult(ending=back.ending, because=back.because, reason=back.reason)
        )

    async def _compensate_as_remembered(self, turned: TurnedBack) -> SagaResult:
        """By workflows that began before the stream was asked."""
        because, reason = turned.because, turned.reason
        self._back_because = because
        wished = []
        if wish := self._cancellation_request():
            wished = [self._cancel_requested(wish.actor, wish.reason)]
        issued = [key for request in self._requests.values() for key in request.issued_keys]
        token = await self._executor.record(
            "turned-back",
            [
                *turned.recorded,
                *wished,
                self._fact(SagaDecided, approved=False, because=because, reason=reason),
                self._fact(CompensationStarted, because=because, reason=reason),
            ],
            closes=(*self.saga.names, *issued),
        )
        ending: Ending = "refused" if turned.refused else "compensated"
        self._decide_against(
            Turned(crossed=False, because=because, reason=reason, token=token, ending=ending)
        )
        asked_anew = {name: request.ask - 1 for name, request in self._requests.items()}
        way = WayBack(self._remembered, pivot_may_stand=self._pivot != "ahead")
        await self._undo_all(way, Standing(asked_anew=asked_anew), void=False)
        return await self._ended(SagaResult(ending=ending, because=because, reason=reason))

    def _decide_against(self, back: Turned) -> None:
        self.decision = Decision(
            approved=False, because=back.because, reason=back.reason, token=back.token
        )
        self._show()

    async def _undo_all(
        self,
        way: WayBack,
        standing: Standing,
        *,
        previous: Leftovers | None = None,
        void: bool = True,
    ) -> None:
        """Newest first; of this attempt or, where `previous` is given, of the one that left it."""
        pivot = self.saga.pivot_step
        pivot_keys = standing.keys_of(pivot.name) if way.pivot_may_stand else ()
        # What no compensation asks the company about is asked here.
        is_orphan = way.pivot_may_stand and pivot.do.asks_outside and not self.saga.can_void_pivot
        orphans: list[Step | RetriableStep] = [
            *way.orphans,
            *([pivot] if is_orphan and void else []),
        ]
        for orphan in reversed(orphans):
            request = StepRequest.void(orphan, self.options)
            await self._undo(request, standing.keys_of(orphan.name), previous)
        for group in reversed(way.groups):
            await side_by_side(
                self._undo(
                    StepRequest.compensation(step, self.options),
                    standing.keys_of(step.name) + pivot_keys,
                    previous,
                )
                for step in group
            )

    def _as_corrected(self, request: StepRequest) -> StepRequest:
        """What persons corrected at an earlier attempt is not asked as it was before."""
        told = [
            one
            for previous in self._executor.previous_attempts
            for one in previous.corrections.get(request.step, ())
        ]
        if told:
            converter = workflow.payload_converter()
            request.command = as_corrected(request.command, told, converter)
        return request

    async def _undo(
        self, request: StepRequest, closes: tuple[str, ...], previous: Leftovers | None
    ) -> None:
        while True:
            answer = await self._answer(request, closes=closes, previous=previous)
            if isinstance(answer, Answer):
                return
            if answer.closed:
                raise attempt_closed(answer.cause)
            resumed = await self._park(request, answer, previous=previous)
            if not isinstance(resumed, TurnedBack) and resumed.kind in {"skip", "resolve"}:
                return

    # The pivot, and the end.

    def _once_crossed(self) -> list[OnceDone]:
        approved = self._fact(SagaDecided, approved=True, because="", reason="")
        return [approved] if self.saga.retriable_groups else [approved, self._completed()]

    def _has_crossed(self, token: str) -> None:
        self._pivot = "done"
        self._end_is_told = not self.saga.retriable_groups
        self.decision = Decision(approved=True, because="", reason="", token=token)

    def _completed(self) -> SagaEnded:
        return self._fact(SagaEnded, ending="completed", because="", reason="")

    async def _ended(self, result: SagaResult) -> SagaResult:
        if not self._end_is_told:
            if self._before_end is not None:
                await self._before_end(result)
            await self._record("ended", self._fact(SagaEnded, **vars(result)))
        self._show(ending=result.ending)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result
