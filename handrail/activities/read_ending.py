"""What a process reads of the stream of a saga that it waits for. It appends nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from handrail.eventstore.store import EventStore
from handrail.kernel import stream_name
from handrail.sagas.events import SagaEnded


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    @activity.defn(name="ReadEnding")
    async def read_ending(saga: str, attempt: int) -> SagaEnded | None:
        """How `attempt` ended, or the last of those that followed it; None where none has."""
        stream = stream_name("saga", saga)
        loaded = (await store.load({stream: 0}))[stream]
        ended = [event for event in loaded.events if isinstance(event, SagaEnded)]
        return next((one for one in reversed(ended) if one.attempt >= attempt), None)

    return [read_ending]
