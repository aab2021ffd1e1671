"""Asking for one step on Temporal, and waiting where nothing may interrupt."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from domain.sagas.steps import NOT_DONE, Answer, StepKey

T = TypeVar("T")

ONE_TRY: Final = timedelta(seconds=10)
RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=5),
    non_retryable_error_types=["PayloadsTooLarge"],
)


@dataclass(frozen=True)
class NoAnswer:
    """No definite yes or no; `happened` is False where it is certain that nothing did."""

    cause: str
    happened: bool | None


async def execute(
    name: str, arguments: list[Any], queue: str | None, limit: timedelta | None, key: StepKey
) -> Answer:
    """On a task queue, or else inside this worker. Without a limit it is tried for ever."""
    summary = f"{key.step} ({key.direction})" if key.direction == "undo" else key.step
    if queue is None:
        local: Answer = await workflow.execute_local_activity(
            name,
            args=arguments,
            result_type=Answer,
            schedule_to_close_timeout=limit,
            start_to_close_timeout=ONE_TRY,
            retry_policy=RETRIES,
            local_retry_threshold=timedelta(seconds=1),
            summary=summary,
        )
        return local
    remote: Answer = await workflow.execute_activity(
        name,
        args=arguments,
        result_type=Answer,
        task_queue=queue,
        schedule_to_close_timeout=limit,
        start_to_close_timeout=ONE_TRY,
        heartbeat_timeout=ONE_TRY,
        retry_policy=RETRIES,
        activity_id=f"{key.step}-{key.direction}",
        summary=summary,
    )
    return remote


def no_answer(failure: ActivityError) -> NoAnswer:
    """Raises ApplicationError, which ends the workflow, when this attempt is over for good."""
    cause = failure.cause or failure
    happened = None
    if isinstance(cause, ApplicationError):
        if cause.type == "StepClosed":
            raise ApplicationError(str(cause), type="AttemptClosed", non_retryable=True) from None
        if NOT_DONE in cause.details:
            happened = False
    return NoAnswer(_in_words(cause), happened)


def _in_words(failure: BaseException) -> str:
    """The last cause first: it is what an operator has to mend."""
    while isinstance(failure, FailureError) and failure.cause is not None:
        failure = failure.cause
    kind = failure.type if isinstance(failure, ApplicationError) else type(failure).__name__
    words = failure.message if isinstance(failure, FailureError) else str(failure)
    return f"{kind}: {words}"[:300]


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
