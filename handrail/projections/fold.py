"""Fold events onto rows: pure, and an event that cannot be applied holds up only its row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from handrail.eventstore.codec import Codec
from handrail.eventstore.parked_events import Parked
from handrail.eventstore.store import Recorded
from handrail.kernel import effective_at
from handrail.projections.earlier_keys import replaced
from handrail.projections.projection import Happened, OutOfPlace, Projection, id_of

BEHIND: Final = "waits behind an earlier event"
_LONGEST_CAUSE: Final = 1000


@dataclass(frozen=True)
class Undecodable:
    cause: str


@dataclass(frozen=True)
class Read:
    """An event of a page; decoded once, however many projections read it."""

    recorded: Recorded
    id: str
    happened: Sequence[Happened] | Undecodable
    """One, or the parts of an event that was split: all of its position and version."""

    def parked(self, cause: str) -> Parked:
        return Parked(self.recorded.stream, self.recorded.position, cause)


@dataclass
class Folded:
    rows: dict[str, Any] = field(default_factory=dict)
    """The rows that have changed."""
    parked: list[Parked] = field(default_factory=list)
    replaced: list[Any] = field(default_factory=list)
    """Rows whose sort key is another one now."""


def read(recorded: Recorded, codec: Codec) -> Read:
    try:
        events = codec.decode_all(recorded.type, recorded.schema, recorded.data)
    except Exception as error:  # noqa: BLE001  # whatever it is, only those who handle it care
        return Read(recorded, id_of(recorded.stream), Undecodable(cause_of(error)))
    happened = [Happened.of(recorded, event) for event in events]
    return Read(recorded, id_of(recorded.stream), happened)


def apply(projection: Projection[Any], row: Any, event: Read) -> Any:
    """The row after the event.

    Raises whatever the event makes `evolve` raise, and ValueError where it could not be decoded.
    """
    if isinstance(event.happened, Undecodable):
        raise ValueError(event.happened.cause)  # noqa: TRY004  # the event is at fault, not a type
    for part in event.happened:
        if not projection.handles_event(part.event):
            continue
        after = projection.evolve(row, part)
        if after is None and row is not None:
            raise OutOfPlace(f"{event.recorded.type} took the row away")
        row = after
    return row


def fold(
    projection: Projection[Any],
    rows: Mapping[str, Any],
    events: Sequence[Read],
    waiting: AbstractSet[str],
) -> Folded:
    """`waiting` are the ids of which an event is parked: what comes later for them parks behind it.

    All streams of the id wait, since the row is folded from all of them.
    """
    folded, waiting = Folded(), set(waiting)
    for event in events:
        if event.id in waiting:
            folded.parked.append(event.parked(BEHIND))
            continue
        before = folded.rows.get(event.id, rows.get(event.id))
        try:
            after = apply(projection, before, event)
        except Exception as error:  # noqa: BLE001  # nobody can know what an event may break
            folded.parked.append(event.parked(cause_of(error)))
            waiting.add(event.id)
        else:
            if after is not before:
                folded.rows[event.id] = after
                if replaced(before, after, projection.begins_with):
                    folded.replaced.append(before)
    return folded


def effective_by(event: Read, moment: datetime) -> Read:
    """What of an event had become true by then: of late facts what they say, of others when they
    were recorded.
    """
    if isinstance(event.happened, Undecodable):
        return event
    parts = [
        one for one in event.happened if (effective_at(one.event) or one.recorded_at) <= moment
    ]
    return replace(event, happened=parts)


def ids_of(events: Iterable[Read]) -> Sequence[str]:
    return sorted({event.id for event in events})


def cause_of(error: BaseException) -> str:
    message = str(error).replace("\x00", "")
    return f"{type(error).__name__}: {message}"[:_LONGEST_CAUSE]
