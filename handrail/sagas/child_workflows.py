"""How one process has others run: sagas whose end it waits for, and processes that outlive it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

from handrail.kernel import NO_TENANT, TenantId
from handrail.sagas.events import SagaEnded
from handrail.sagas.options import RunOptions, SagaResult
from handrail.sagas.visibility import (
    FAILURE_CODE,
    PARKED_SINCE,
    SAGA_STATUS,
    SAGA_STEP,
    begun_as,
    failure_code,
)

READING: Final[dict[str, Any]] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(minutes=1)),
    "local_retry_threshold": timedelta(seconds=1),
}
"""What only needs our own database is tried until it is done."""
LOOKS_AGAIN: Final = timedelta(minutes=1)
LOOKS_SELDOM: Final = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Child:
    """A saga, or another process, that is begun by one. `summary` holds nothing personal."""

    name: str
    workflow: type[Any]
    input: Any
    id: str
    tenant: TenantId = NO_TENANT
    summary: str


async def run_saga(
    child: Child,
    options: RunOptions,
    actor: str,
    attempt: int,
    when_parked: Callable[[], None] = lambda: None,
) -> SagaEnded:
    """Begin an attempt at a saga, and wait for its end, however long that takes.

    A workflow that stops before its saga has ended is left to a person, who has another attempt
    begun: until that one has ended, this process shows itself as parked, and `when_parked` is
    called. The attempt that ended may therefore be a later one than the one that was asked for.
    """
    try:
        handle = await _start(child, options, [options.of(child.workflow), actor, attempt], attempt)
        result: SagaResult = await handle
    except (ChildWorkflowError, WorkflowAlreadyStartedError):
        return await _end_of(child.id, attempt, when_parked)
    return SagaEnded(saga=child.id, attempt=attempt, **vars(result))


async def follow_saga(saga: str, attempt: int) -> SagaEnded:
    """Wait for the end of an attempt that was begun before, by another run of this process."""
    return await _end_of(saga, attempt, is_shown=False)


async def last_attempt(saga: str) -> int:
    """The last that ended, as the saga's own stream tells; 0 where none has."""
    ended = await _read_ending(saga, 1)
    return ended.attempt if ended else 0


async def start_again(child: Child, options: RunOptions, *more: Any) -> bool:
    """Begin a process anew, also where it has ended before; False where it goes on."""
    try:
        await _start(child, options, [options, *more], 1, again=True)
    except WorkflowAlreadyStartedError:
        return False
    return True


async def start_process(child: Child, options: RunOptions, *more: Any) -> None:
    """Begin a process, which goes on by itself; begun before, or even ended, is begun.

    `more` are the arguments that follow its input and the options.
    """
    with contextlib.suppress(WorkflowAlreadyStartedError):
        await _start(child, options, [options, *more], 1)


async def _start(
    child: Child, options: RunOptions, more: list[Any], attempt: int, *, again: bool = False
) -> workflow.ChildWorkflowHandle[Any, Any]:
    return await workflow.start_child_workflow(
        child.workflow.run,
        args=[child.input, *more],
        id=child.id,
        id_reuse_policy=(
            WorkflowIDReusePolicy.REJECT_DUPLICATE
            if attempt == 1 and not again
            else WorkflowIDReusePolicy.ALLOW_DUPLICATE
        ),
        parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
        search_attributes=begun_as(child.name, child.tenant, options),
        static_summary=child.summary,
    )


async def _end_of(
    saga: str,
    attempt: int,
    when_parked: Callable[[], None] = lambda: None,
    *,
    is_shown: bool = True,
) -> SagaEnded:
    """How this attempt or a later one ended, as the saga's own stream tells."""
    pause, parked = LOOKS_AGAIN, False
    while (ended := await _read_ending(saga, attempt)) is None:
        if is_shown and not parked:
            show_parked(saga, f"attempt {attempt} stopped before its end")
            when_parked()
            parked = True
        await workflow.sleep(pause, summary=f"until {saga} has ended")
        pause = min(2 * pause, LOOKS_SELDOM)
    if parked:
        show_running()
    return ended


async def _read_ending(saga: str, attempt: int) -> SagaEnded | None:
    ended: SagaEnded | None = await workflow.execute_local_activity(
        "ReadEnding", args=[saga, attempt], result_type=SagaEnded, **READING
    )
    return ended


def show_parked(step: str, failure: str) -> None:
    """A process waits for a person, who finds it like a saga that does."""
    workflow.upsert_search_attributes(
        [
            SAGA_STATUS.value_set("parked"),
            SAGA_STEP.value_set(step),
            FAILURE_CODE.value_set(failure_code(failure)),
            PARKED_SINCE.value_set(workflow.now()),
        ]
    )


def show_running() -> None:
    workflow.upsert_search_attributes(
        [
            SAGA_STATUS.value_set("running"),
            SAGA_STEP.value_unset(),
            FAILURE_CODE.value_unset(),
            PARKED_SINCE.value_unset(),
        ]
    )
