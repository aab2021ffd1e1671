"""Commands as Temporal activities: named after the command, failing in three ways and no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from handrail.activities.command_handler import pass_fence
from handrail.errors import DomainError, OutOfOrder
from handrail.eventstore.store import EventStore, StepClosed
from handrail.kernel import Command, void_of
from handrail.sagas.step_keys import KEY_SPENT, NOT_DONE, Answer, StepContext, StepKey


class DeclinedForGood(OutOfOrder):
    """The other company said no, and would only repeat it under the same key."""


Handle = Callable[[Any, StepContext], Awaitable[Answer]]
Void = Callable[[Any, StepContext], Awaitable[None]]


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
        except DeclinedForGood as declined:
            raise _for_good(declined) from declined
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


def serve_void(command: type[Command], void: Void, store: EventStore) -> Callable[..., Any]:
    """The activity that has another company let go of what the command may have made it do.

    For a step that our own books do not hold: `void` shuts the keys that the context closes, at
    the other company; no book changes.
    """

    @activity.defn(name=void_of(command))
    async def run(asked: Command, context: StepContext) -> Answer:
        if activity.in_activity() and not activity.info().is_local:
            activity.heartbeat("asking another company")
        try:
            await void(asked, context)
        except DeclinedForGood as declined:
            raise _for_good(declined) from declined
        return await pass_fence(store, context)

    return run


def _for_good(declined: DeclinedForGood) -> ApplicationError:
    kind = OutOfOrder.__name__
    return ApplicationError(str(declined), KEY_SPENT, type=kind, non_retryable=True)


def _is_asked_again() -> bool:
    return activity.in_activity() and activity.info().attempt > 1


def closed_by(context: StepContext) -> Sequence[StepKey]:
    """The keys that another company knows of the steps that this one closes."""
    asked = [replace(context.key.forward, step=step, ask=1) for step in context.closes]
    return [*asked, *context.supersedes]
