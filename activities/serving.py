"""Commands as Temporal activities: named after the command, failing in three ways and no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.errors import DomainError
from domain.kernel import Command
from domain.sagas.steps import NOT_DONE, Answer, StepContext, StepKey
from eventstore.store import StepClosed

Handle = Callable[[Any, StepContext], Awaitable[Answer]]


def serve(command: type[Command], handle: Handle) -> Callable[..., Any]:
    """The activity that serves one command.

    A broken rule and a shut fence stay failures; whatever else is raised, Temporal retries.

    That nothing happened is certain where a rule was broken at the first try, in our own books: not
    where another company was asked before, nor where an earlier try ended without an answer.
    """

    @activity.defn(name=command.__name__)
    async def run(asked: Command, context: StepContext) -> Answer:
        if command.asks_outside and activity.in_activity() and not activity.info().is_local:
            activity.heartbeat("asking another company")
        try:
            return await handle(asked, context)
        except DomainError as broken:
            certainty = [] if command.asks_outside or _is_asked_again() else [NOT_DONE]
            raise ApplicationError(
                str(broken), *certainty, type=type(broken).__name__, non_retryable=True
            ) from broken
        except StepClosed as closed:
            raise ApplicationError(
                str(closed), type=StepClosed.__name__, non_retryable=True
            ) from closed

    return run


def _is_asked_again() -> bool:
    return activity.in_activity() and activity.info().attempt > 1


def closed_by(context: StepContext) -> Sequence[StepKey]:
    """The keys that another company knows of the steps whose doors this one shuts."""
    asked = [replace(context.key.forward, step=step, ask=1) for step in context.closes]
    return [*asked, *context.supersedes]
