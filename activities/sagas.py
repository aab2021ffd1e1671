"""The saga's own stream: what no step writes for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from activities.handling import metadata_of
from domain.kernel import stream_name
from domain.sagas.events import SagaEvent
from domain.sagas.steps import Answer, StepContext
from eventstore.store import ANY_VERSION, EventStore


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
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

    return [record]
