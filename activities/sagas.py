"""The saga's own stream: what the workflow tells of itself, once for each time it tells it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.handling import metadata_of
from domain.kernel import stream_name
from domain.sagas.events import SagaEnded, SagaEvent, SagaStarted
from domain.sagas.steps import Answer, Begun, StepContext
from domain.sagas.story import Left, left_by
from eventstore.store import ANY_VERSION, EventStore, StepClosed, VersionConflict


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    journal = _Journal(store)
    return [journal.begin, journal.record, journal.record_missing]


class _Journal:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    @activity.defn(name="BeginSaga")
    async def begin(self, started: SagaStarted, context: StepContext) -> Begun:
        """Begin an attempt, once: it belongs to the workflow run that began it.

        A saga that is started again after it has ended would pass every fence that the first run
        passed, and go on from where that one turned back. A later attempt first shuts every door of
        the one before it, and then looks at what that one left.
        """
        key = context.key
        expected, left = 0, None
        if key.attempt > 1:
            expected, left = await self._supersede(started, context)
        try:
            appended = await self._store.append(
                [(stream_name("saga", key.saga), expected, [started])],
                context=context,
                answer={"run": started.run},
                metadata=metadata_of(context),
            )
        except VersionConflict:
            if key.attempt > 1:
                raise  # the attempt before spoke up meanwhile: look again
            raise _closed(context, "another run") from None
        if appended.answer != {"run": started.run}:
            raise _closed(context, "another run")
        return Begun(token=appended.token, left=left)

    async def _supersede(
        self, started: SagaStarted, context: StepContext
    ) -> tuple[int, Left | None]:
        """The version of the saga's stream, and what the attempt before left behind."""
        key, before = context.key, context.key.attempt - 1
        _, story = await self._story(key.saga)
        of_before = [event for event in story if event.attempt == before]
        if any(event.attempt > key.attempt for event in story):
            raise _closed(context, "a later attempt")
        if any(isinstance(event, SagaEnded) and event.ending == "completed" for event in of_before):
            raise _closed(context, "an attempt that completed the saga")
        if left := left_by(before, story):
            begun = next(event for event in of_before if isinstance(event, SagaStarted))
            shut = replace(key, attempt=before, opened_on=left.opened_on, step="journal:superseded")
            doors = {*begun.steps, *started.steps}
            doors |= {f"{step}~{ask}" for step, ask in left.later_asks()}
            # Each entry told at least one event, and a run that nobody stopped would go on with the
            # entry after its last.
            doors |= {f"journal:{entry}" for entry in range(1, len(of_before) + 2)}
            await self._store.append(
                [],
                context=StepContext(key=shut, actor=context.actor, closes=tuple(sorted(doors))),
                answer={},
            )
        version, story = await self._story(key.saga)
        return version, left_by(before, story)

    async def _story(self, saga: str) -> tuple[int, Sequence[SagaEvent]]:
        stream = stream_name("saga", saga)
        loaded = (await self._store.load({stream: 0}))[stream]
        return loaded.version, cast("Sequence[SagaEvent]", loaded.events)

    @activity.defn(name="RecordSaga")
    async def record(self, events: Sequence[SagaEvent], context: StepContext) -> Answer:
        """Append the saga's events, once for each key."""
        return await self._tell(ANY_VERSION, events, context)

    @activity.defn(name="RecordMissing")
    async def record_missing(self, events: Sequence[SagaEvent], context: StepContext) -> Answer:
        """Append those of the events whose kind the attempt has not told yet.

        For what a step tells in its own transaction, where a person says that it was done: nobody
        else knows whether it was. Its door is shut, so it says nothing any more.
        """
        version, story = await self._story(context.key.saga)
        told = {type(event) for event in story if event.attempt == context.key.attempt}
        missing = [event for event in events if type(event) not in told]
        return await self._tell(version, missing, context)

    async def _tell(
        self, version: int | None, events: Sequence[SagaEvent], context: StepContext
    ) -> Answer:
        try:
            appended = await self._store.append(
                [(stream_name("saga", context.key.saga), version, events)],
                context=context,
                answer={},
                metadata=metadata_of(context),
            )
        except StepClosed:
            raise _closed(context, "a later attempt") from None
        return Answer(status="done", outcome="", reason="", token=appended.token)


def _closed(context: StepContext, whose: str) -> ApplicationError:
    said = f"attempt {context.key.attempt} of {context.key.saga} was begun, or passed, by {whose}"
    return ApplicationError(said, type=StepClosed.__name__, non_retryable=True)
