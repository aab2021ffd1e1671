"""An event as a consumer gets it, whether a broker brings it or the feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from handrail.eventstore.codec import Codec
from handrail.eventstore.store import Recorded
from handrail.evolution.forms import Form
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
    stored: Form | None = None
    """Of a copy: the form that is in the store, of which `data` were made."""

    @cached_property
    def event(self) -> Event:
        """The event itself, lifted to the version this code knows.

        Raises UnknownMessage for one of a newer version, ValueError for data that do not fit.
        """
        return cast("Event", self.codec.decode(self.type, self.schema, self.data))

    def parts(self, names: AbstractSet[str]) -> Sequence[Received]:
        """The message itself; of an event that was split, its parts of these names, as messages
        of their own forms with the id, stream and version that it has.
        """
        if not self.codec.is_split(self.type, self.schema):
            return [self]
        return [
            replace(self, type=form.name, schema=form.version, data=data)
            for form, data in self.codec.lift(Form(self.type, self.schema), self.data)
            if form.name in names
        ]


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
