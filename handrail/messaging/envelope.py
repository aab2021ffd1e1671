"""An event as a consumer gets it, whether a broker brings it or the feed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from handrail.eventstore.codec import Codec
from handrail.eventstore.store import Recorded
from handrail.kernel import Event


@dataclass(frozen=True)
class Received:
    """`id` is the same however often the event comes, from the feed or from a queue."""

    id: str
    type: str
    schema: int
    stream: str
    version: int
    position: int
    recorded_at: datetime
    metadata: Mapping[str, Any]
    """Who caused it, and what: actor, correlation, causation."""
    data: dict[str, Any]
    """As stored, in the version `schema`."""
    codec: Codec = field(repr=False, compare=False)
    """Decodes `data`, once `event` is read."""

    @cached_property
    def event(self) -> Event:
        """The event itself, lifted to the version this code knows.

        Raises UnknownMessage for one of a newer version, ValueError for data that do not fit.
        """
        return cast("Event", self.codec.decode(self.type, self.schema, self.data))


def id_of(stream: str, version: int) -> str:
    """What the event is known by everywhere."""
    return f"{stream}/{version}"


def received_from_store(recorded: Recorded, codec: Codec) -> Received:
    return Received(
        id=id_of(recorded.stream, recorded.version),
        type=recorded.type,
        schema=recorded.schema,
        stream=recorded.stream,
        version=recorded.version,
        position=recorded.position,
        recorded_at=recorded.recorded_at,
        metadata=recorded.metadata,
        data=recorded.data,
        codec=codec,
    )
