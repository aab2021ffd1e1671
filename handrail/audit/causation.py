"""Causation of events: which step of which attempt appended what, from the metadata of events.

Every event names its correlation, a saga or a single command, and its causation: the key of the
step that appended it, `saga/attempt/step/direction`. Events with one causation were appended
together or by the same step; a step with the direction `undo` takes back the one with `do`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.tables import events
from handrail.messaging.envelope import id_of
from handrail.sagas.events import SagaStarted

EVENTS_AT_MOST: Final = 1_000
"""Events of a correlation that one tree has."""


@dataclass(frozen=True)
class CausedEvent:
    """An event without its data; `id` is `stream/version`."""

    id: str
    position: int
    type: str
    recorded_at: datetime
    actor: str


@dataclass(frozen=True)
class CausingStep:
    """What one step of an attempt appended, in one direction. `takes_back` is the causation of the
    step that it compensates, where there are events of that; else it is empty.
    """

    causation: str
    step: str
    direction: str
    attempt: int
    takes_back: str
    events: Sequence[CausedEvent]


@dataclass(frozen=True)
class Causes:
    """Where an event stands among all of its correlation. `caused_by` are the events that led to
    it, the nearest first; `caused` those that it led to. `complete` is False where there are more
    events than a tree has: then later ones are missing.
    """

    event: CausedEvent
    correlation: str
    causation: str
    steps: Sequence[CausingStep]
    caused_by: Sequence[CausedEvent]
    caused: Sequence[CausedEvent]
    complete: bool


async def causes_of(connection: AsyncConnection, stream: str, version: int) -> Causes | None:
    """None where there is no such event."""
    query = select(events.c.metadata, events.c.position).where(
        events.c.stream == stream, events.c.version == version
    )
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        return None
    metadata, position = found
    correlation = str(metadata.get("correlation", ""))
    wanted = {
        "correlation": correlation,
        "position": position,
        "most": EVENTS_AT_MOST + 1,
    }
    rows = [dict(one) for one in (await connection.execute(_CORRELATED, wanted)).mappings()]
    shown = rows[:EVENTS_AT_MOST]
    if position not in {one["position"] for one in shown}:
        shown.append(next(one for one in rows if one["position"] == position))
    return tree_of(shown, position, complete=len(rows) <= EVENTS_AT_MOST)


# The event itself is among them, also where it is far behind the first ones, or has no correlation.
_CORRELATED: Final[TextClause] = text("""
(SELECT position, stream, version, type, metadata, recorded_at FROM events
 WHERE metadata ->> 'correlation' = :correlation ORDER BY position LIMIT :most)
UNION
SELECT position, stream, version, type, metadata, recorded_at FROM events
WHERE position = :position ORDER BY position
""")


def tree_of(rows: Sequence[Mapping[str, Any]], position: int, *, complete: bool = True) -> Causes:
    """The causes of the event at the position, of all events of its correlation in their order."""
    by_causation: dict[str, list[Mapping[str, Any]]] = {}
    for one in rows:
        by_causation.setdefault(str(one["metadata"].get("causation", "")), []).append(one)
    steps = [_step(causation, some, by_causation) for causation, some in by_causation.items()]
    this = next(one for one in rows if one["position"] == position)
    metadata = this["metadata"]
    causation, attempt = str(metadata.get("causation", "")), metadata.get("attempt", 1)
    begun = [one for one in rows if one["type"] == SagaStarted.__name__]
    own_start = [one for one in begun if one["metadata"].get("attempt", 1) == attempt]
    taken_back = by_causation.get(_forward(causation), []) if _is_undo(causation) else []
    led_to = [one for one in (*reversed(taken_back), *own_start) if one["position"] < position]
    if this in begun:
        caused = [one for one in rows if one["metadata"].get("attempt", 1) == attempt]
    elif not _is_undo(causation):
        caused = by_causation.get(_backward(causation), [])
    else:
        caused = []
    return Causes(
        event=_event(this),
        correlation=str(metadata.get("correlation", "")),
        causation=causation,
        steps=steps,
        caused_by=[_event(one) for one in led_to],
        caused=[_event(one) for one in caused if one["position"] > position],
        complete=complete,
    )


def _step(
    causation: str,
    some: Sequence[Mapping[str, Any]],
    by_causation: Mapping[str, Sequence[Mapping[str, Any]]],
) -> CausingStep:
    metadata = some[0]["metadata"]
    forward = _forward(causation) if _is_undo(causation) else ""
    return CausingStep(
        causation=causation,
        step=str(metadata.get("step", "")),
        direction=str(metadata.get("direction", "do")),
        attempt=int(metadata.get("attempt", 1)),
        takes_back=forward if forward in by_causation else "",
        events=[_event(one) for one in some],
    )


def _event(one: Mapping[str, Any]) -> CausedEvent:
    return CausedEvent(
        id=id_of(one["stream"], one["version"]),
        position=one["position"],
        type=one["type"],
        recorded_at=one["recorded_at"],
        actor=str(one["metadata"].get("actor", "")),
    )


def _is_undo(causation: str) -> bool:
    return causation.endswith("/undo")


def _forward(causation: str) -> str:
    return causation.removesuffix("/undo") + "/do"


def _backward(causation: str) -> str:
    return causation.removesuffix("/do") + "/undo"
