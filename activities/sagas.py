"""The saga's own stream: what no step writes for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.handling import metadata_of
from domain.kernel import stream_name
from domain.sagas.events import SagaEvent, SagaStarted
from domain.sagas.steps import Answer, StepContext
from eventstore.store import ANY_VERSION, EventStore, StepClosed, VersionConflict


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    @activity.defn(name="BeginSaga")
    async def begin(started: SagaStarted, context: StepContext) -> Answer:
        """Begin an attempt, once: it belongs to the workflow run that began it.

        A saga that is started again after it has ended would pass every fence that the first run
        passed, and go on from where that one turned back.
        """
        stream = stream_name("saga", context.key.saga)
        expected = 0 if context.key.attempt == 1 else ANY_VERSION
        try:
            appended = await store.append(
                [(stream, expected, [started])],
                context=context,
                answer={"run": started.run},
                metadata=metadata_of(context),
            )
        except VersionConflict:
            raise _closed(context) from None
        if appended.answer != {"run": started.run}:
            raise _closed(context)
        return Answer(status="done", outcome="", reason="", token=appended.token)

    @activity.defn(name="RecordSaga")
    async def record(events: Sequence[SagaEvent], context: StepContext) -> Answer:
        """Append the saga's events, once for each key."""
        appended = await store.append(
            [(stream_name("saga", context.key.saga), ANY_VERSION, events)],
            context=context,
            answer={},
            metadata=metadata_of(context),
        )
        return Answer(status="done", outcome="", reason="", token=appended.token)

    return [begin, record]


def _closed(context: StepContext) -> ApplicationError:
    said = f"attempt {context.key.attempt} of {context.key.saga} was begun by another run"
    return ApplicationError(said, type=StepClosed.__name__, non_retryable=True)
