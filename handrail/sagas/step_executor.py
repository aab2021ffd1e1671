"""Asking for one step on Temporal: under which key, on which queue, and what the answer means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from handrail import bounds
from handrail.kernel import Command, context_of
from handrail.sagas.events import (
    CancelRequested,
    Direction,
    SagaEvent,
    SagaResumed,
    SagaStarted,
    StepAnswered,
)
from handrail.sagas.options import RunOptions, SagaIdentity
from handrail.sagas.recovery import Leftovers
from handrail.sagas.step_keys import KEY_SPENT, NOT_DONE, Answer, OnceDone, StepContext, StepKey
from handrail.sagas.step_request import StepRequest
from handrail.sagas.stream_answers import Begun, Cancelled, Turned
from handrail.sagas.stream_commands import RequestCancellation, TurnBack
from handrail.sagas.visibility import Timeline
from handrail.sagas.worker_versions import queue_of_newer_code

T = TypeVar("T")

LONGEST_CAUSE: Final = 300
ONE_TRY: Final = timedelta(seconds=10)
RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=5),
    non_retryable_error_types=["PayloadsTooLarge"],
)
NEWER_CODE: Final = ("UnknownMessage", "UnknownPayloadKey")
"""The types of the errors of an activity that met a message of newer code than its worker's, or a
payload that is encrypted with a key that its worker does not have yet.
"""
RETRIES_OF_KNOWN: Final = replace(
    RETRIES, non_retryable_error_types=[*(RETRIES.non_retryable_error_types or ()), *NEWER_CODE]
)
WAITS_FOR_NEWER_CODE: Final = "waits-for-newer-code"
"""The patch of histories in which an activity was left to newer code."""
ATTEMPT_CLOSED: Final = "AttemptClosed"
"""The type of the error that ends the workflow of an attempt which is over for good."""


@dataclass(frozen=True)
class NoAnswer:
    """No definite yes or no; `happened` is False where it is certain that nothing did.

    `spent`: the key will only be answered the same, so that to ask again takes another one; and
    `refused`, where that answer is a refusal, which the key holds for good.
    `closed`: the key may not take effect any more, because of what the saga's stream says.
    """

    cause: str
    happened: bool | None
    spent: bool = False
    refused: bool = False
    closed: bool = False


@dataclass
class StepExecutor:
    """Asks for the steps of one saga, each under its own key, and keeps the saga's own stream.

    `previous_attempts` are what the attempts before this one left behind, oldest first.
    """

    identity: SagaIdentity
    options: RunOptions
    timeline: Timeline
    previous_attempts: Sequence[Leftovers] = ()
    _recorded: int = 0

    def key(
        self,
        step: str,
        direction: Direction = "do",
        ask: int = 1,
        *,
        previous: Leftovers | None = None,
    ) -> StepKey:
        """Of this attempt or, where `previous` is given, of the one that left it."""
        return StepKey(
            saga=self.identity.saga,
            attempt=previous.attempt if previous else self.identity.attempt,
            step=step,
            direction=direction,
            # A reset keeps the start, so that what is asked again has the key the fence knows.
            opened_on=previous.opened_on
            if previous
            else workflow.info().workflow_start_time.date(),
            ask=ask,
        )

    async def ask(
        self,
        request: StepRequest,
        closes: tuple[str, ...],
        once_done: tuple[OnceDone, ...],
        previous: Leftovers | None,
        *,
        going_out: Callable[[], None],
    ) -> Answer | NoAnswer:
        """Ask again and again, until there is an answer or the limit or the tries are over.

        `previous` is the attempt in whose name a compensation is asked, where that is not this one.
        `going_out` is called before another company's queue is waited for.
        """
        command = request.command
        key = self.key(request.step, request.direction, request.ask, previous=previous)
        context = StepContext(
            key=key,
            actor=self.identity.actor,
            tenant=self.identity.tenant,
            subject=self.identity.subject,
            traceparent=self.options.traceparent,
            closes=closes or request.superseded,
            supersedes=self._superseded(request),
            once_done=once_done,
        )
        started = workflow.now()
        request.first_asked = request.first_asked or started
        answer: Answer | NoAnswer
        try:
            answer = await self._request(command, context, request, going_out)
        except FailureError as failure:
            answer = _no_answer(failure, command)
        what = answer.cause if isinstance(answer, NoAnswer) else answer.reason or answer.outcome
        self.timeline.add(started, key.step, key.direction, what or "nothing to do")
        return answer

    async def _request(
        self,
        command: Command,
        context: StepContext,
        request: StepRequest,
        going_out: Callable[[], None],
    ) -> Answer:
        name = request.activity or type(command).__name__
        limit, tries = request.limit, request.tries
        queue = None
        if command.asks_outside or self._on_queues:
            queue = context_of(type(command))
        if command.asks_outside:
            within = timedelta(seconds=min(self.options.first_try_seconds, limit.total_seconds()))
            if within and not self._on_queues and tries != 1:
                began = workflow.now()
                try:
                    return await self._on_temporal(
                        name, [command, context], Answer, queue=None, limit=within, tries=1
                    )
                except FailureError as failure:
                    limit -= workflow.now() - began
                    if _is_final(failure) or limit <= timedelta():
                        raise
                    tries = tries and tries - 1
            going_out()
        return await self._on_temporal(
            name, [command, context], Answer, queue=queue, limit=limit, tries=tries
        )

    def _superseded(self, request: StepRequest) -> tuple[StepKey, ...]:
        """The keys under which earlier attempts may have asked another company the same."""
        if request.direction == "undo":
            return ()
        return tuple(
            self.key(request.step, "do", ask + 1, previous=previous)
            for previous in self.previous_attempts
            for ask in range(1 + previous.asked_anew.get(request.step, 0))
        )

    async def begin(self, started: SagaStarted) -> Begun:
        """Raises ApplicationError, which ends the workflow, where another run began the attempt."""
        return await self._journal("BeginSaga", "started", started, Begun)

    async def record(
        self, name: str, events: Sequence[SagaEvent], closes: tuple[str, ...] = ()
    ) -> str:
        """Tell the saga's own stream, once for each name; answers the token.

        `closes` are keys of steps that may not take effect any more. Tried for as long as it takes.
        Raises ApplicationError, which ends the workflow, where the attempt is over.
        """
        answer = await self._journal("RecordSaga", name, events, Answer, closes)
        return answer.token

    async def record_missing(self, name: str, events: Sequence[SagaEvent]) -> str:
        """Tell the saga's own stream what a step may have told already; answers the token."""
        answer = await self._journal("RecordMissing", name, events, Answer)
        return answer.token

    async def turn_back(self, asked: TurnBack) -> Turned:
        """Raises ApplicationError, which ends the workflow, where the attempt is over."""
        return await self._journal("TurnBack", "turned-back", asked, Turned)

    async def request_cancellation(self, requested: CancelRequested, pivot: str) -> Cancelled:
        asked = RequestCancellation(requested=requested, pivot=pivot)
        return await self._journal("RequestCancellation", "cancelled", asked, Cancelled)

    async def resume(
        self,
        name: str,
        resumed: SagaResumed,
        correction: Command | None,
        closes: tuple[str, ...],
        previous: Leftovers | None,
    ) -> tuple[SagaResumed, Command | None]:
        """By what the step goes on: the first that was recorded under the name.

        `previous` is the attempt whose step is taken back, where that is not this one: its keys
        close.

        Raises ApplicationError where the stream contradicts the intervention.
        """
        asked = (resumed, correction) if correction else (resumed,)
        if previous:
            name = f"{name}:for:{self.identity.attempt}"
        stands = await self._journal("ResumeStep", name, asked, tuple, closes, previous=previous)
        return stands[0], stands[1] if len(stands) > 1 else None

    async def answer(self, answered: StepAnswered) -> StepAnswered:
        """The answer that stands: the first that was recorded for the step."""
        name = f"answered:{answered.step}"
        return await self._journal("AnswerStep", name, answered, StepAnswered)

    async def _journal(
        self,
        activity: str,
        name: str,
        message: Any,
        type_: type[T],
        closes: tuple[str, ...] = (),
        *,
        previous: Leftovers | None = None,
    ) -> T:
        self._recorded += 1
        # Forward an attempt that stopped says nothing any more.
        direction: Direction = "undo" if previous else "do"
        context = StepContext(
            key=self.key(f"journal:{name}", direction, previous=previous),
            actor=self.identity.actor,
            tenant=self.identity.tenant,
            subject=self.identity.subject,
            traceparent=self.options.traceparent,
            closes=closes,
        )
        queue = "sagas" if self._on_queues else None
        try:
            return await self._on_temporal(
                activity,
                [message, context],
                type_,
                queue=queue,
                # Which activity of the history it is: that alone may be a count.
                id_=f"journal:{self._recorded}-do",
            )
        except FailureError as failure:
            raise _final(failure) from None

    @property
    def _on_queues(self) -> bool:
        return self.options.steps == "queues"

    async def _on_temporal(
        self,
        name: str,
        arguments: list[Any],
        type_: type[T],
        *,
        queue: str | None,
        limit: timedelta | None = None,
        tries: int | None = None,
        id_: str = "",
    ) -> T:
        """On a task queue, or else inside this worker.

        Where the worker's code does not know a message, newer code does: the activity waits on a
        queue that every release serves, until a worker of that release takes it.
        However long that is, it is no outcome of the step.
        """
        try:
            return await self._sent(
                name, arguments, type_, queue=queue, limit=limit, tries=tries, id_=id_
            )
        except FailureError as failure:
            if not (_is_of_newer_code(failure) and workflow.patched(WAITS_FOR_NEWER_CODE)):
                raise
        queue = queue_of_newer_code()
        return await self._sent(name, arguments, type_, queue=queue, retries=RETRIES, id_=id_)

    async def _sent(
        self,
        name: str,
        arguments: list[Any],
        type_: type[T],
        *,
        queue: str | None,
        limit: timedelta | None = None,
        tries: int | None = None,
        retries: RetryPolicy = RETRIES_OF_KNOWN,
        id_: str = "",
    ) -> T:
        key: StepKey = arguments[1].key
        # Nothing that the UI shows of it anyway: it costs as much as an argument.
        summary = None
        if key.direction == "undo" or key.step != name:
            summary = f"{key.step} (undo)" if key.direction == "undo" else key.step
        if queue is None:
            local: T = await workflow.execute_local_activity(
                name,
                args=arguments,
                result_type=type_,
                schedule_to_close_timeout=limit,
                start_to_close_timeout=ONE_TRY,
                retry_policy=replace(retries, maximum_attempts=tries or _tries_within(limit)),
                # Retries that wait inside a workflow task do not look at the limit.
                local_retry_threshold=timedelta(milliseconds=1),
                summary=summary,
            )
            return local
        remote: T = await workflow.execute_activity(
            name,
            args=arguments,
            result_type=type_,
            task_queue=self.options.queue_prefix + queue,
            schedule_to_close_timeout=limit,
            start_to_close_timeout=ONE_TRY,
            heartbeat_timeout=ONE_TRY,
            retry_policy=replace(retries, maximum_attempts=tries or 0),
            activity_id=id_ or f"{key.step}-{key.direction}",
            summary=summary,
        )
        return remote


def _tries_within(limit: timedelta | None) -> int:
    """As many as the limit has room for, 0 for any number.

    A local activity that is out of tries says what its last one died of; one that is out of time
    only says so.
    """
    if limit is None:
        return 0
    tries, waited, pause = 1, timedelta(), RETRIES.initial_interval
    while waited + pause < limit:
        tries, waited = tries + 1, waited + pause
        pause = min(pause * RETRIES.backoff_coefficient, RETRIES.maximum_interval or pause)
    return tries


def _is_final(failure: FailureError) -> bool:
    """Whether to ask once more would only be told the same."""
    cause = _cause(failure)
    return isinstance(cause, ApplicationError) and cause.non_retryable


def _is_of_newer_code(failure: FailureError) -> bool:
    cause = _cause(failure)
    return isinstance(cause, ApplicationError) and cause.type in NEWER_CODE


def _cause(failure: FailureError) -> BaseException:
    # What a local activity raised arrives as it is; that of a queue is wrapped.
    return failure.cause if isinstance(failure, ActivityError) and failure.cause else failure


def _no_answer(failure: FailureError, command: Command) -> NoAnswer:
    cause = _cause(failure)
    details = cause.details if isinstance(cause, ApplicationError) else ()
    is_certain = NOT_DONE in details
    return NoAnswer(
        _in_words(cause),
        happened=False if is_certain else None,
        # What another company certainly did not do, it was made to let go of.
        spent=KEY_SPENT in details or (is_certain and command.asks_outside),
        closed=isinstance(cause, ApplicationError) and cause.type == "StepClosed",
    )


def attempt_closed(why: str) -> ApplicationError:
    return ApplicationError(why, type=ATTEMPT_CLOSED, non_retryable=True)


def _final(failure: FailureError) -> FailureError:
    """What ends the workflow, or refuses an update, where the stream said no."""
    cause = _cause(failure)
    if isinstance(cause, ApplicationError):
        return attempt_closed(str(cause)) if cause.type == "StepClosed" else cause
    return failure


def _in_words(failure: BaseException) -> str:
    """The last cause first: it is what an operator has to mend."""
    while isinstance(failure, FailureError) and failure.cause is not None:
        failure = failure.cause
    kind = failure.type if isinstance(failure, ApplicationError) else type(failure).__name__
    words = failure.message if isinstance(failure, FailureError) else str(failure)
    return bounds.storable(f"{kind}: {words}", LONGEST_CAUSE)
