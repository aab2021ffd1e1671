"""Commands as Temporal activities: named after the command, failing in three ways and no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.errors import DomainError
from domain.kernel import Command
from domain.sagas.steps import NOT_DONE, Answer, StepContext
from eventstore.store import StepClosed

Handle = Callable[[Any, StepContext], Awaitable[Answer]]


def serve(command: type[Command], handle: Handle) -> Callable[..., Any]:
    """The activity that serves one command.

    A broken rule and a shut fence stay failures; whatever else is raised, Temporal retries.
    """

    @activity.defn(name=command.__name__)
    async def run(asked: Command, context: StepContext) -> Answer:
        try:
            return await handle(asked, context)
        except DomainError as broken:
            # Who asks another company first cannot be sure that nothing happened there.
            certainty = [] if command.asks_outside else [NOT_DONE]
            raise ApplicationError(
                str(broken), *certainty, type=type(broken).__name__, non_retryable=True
            ) from broken
        except StepClosed as closed:
            raise ApplicationError(
                str(closed), type=StepClosed.__name__, non_retryable=True
            ) from closed

    return run
