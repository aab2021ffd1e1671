"""Which consumers, read models and lake views read each event: a file beside the contracts.

So two revisions can be compared without running either: `handrail contracts diff`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from handrail.eventstore.codec import Codec
from handrail.evolution.conversion import can_convert, lost_between
from handrail.kernel import Event, context_of
from handrail.messaging.contracts.schemas import Schema, name_of

READERS: Final = "readers.json"
KINDS: Final = ("consumers", "read_models", "lake_views")


@dataclass(frozen=True)
class EventReaders:
    """The names of those who read an event, each sorted."""

    consumers: tuple[str, ...] = ()
    read_models: tuple[str, ...] = ()
    lake_views: tuple[str, ...] = ()

    def __or__(self, other: EventReaders) -> EventReaders:
        return EventReaders(
            *(tuple(sorted({*getattr(self, kind), *getattr(other, kind)})) for kind in KINDS)
        )

    def as_json(self) -> dict[str, list[str]]:
        return {kind: list(getattr(self, kind)) for kind in KINDS}


def readers_by_event(
    consumers: Mapping[str, Iterable[str]],
    read_models: Mapping[str, Iterable[str]],
    lake_views: Mapping[str, Iterable[str]],
) -> Mapping[str, EventReaders]:
    """By the name of each event that something reads.

    Consumers and read models are given with the events they read, events with their lake views.
    """
    events = {
        *(event for wants in (*consumers.values(), *read_models.values()) for event in wants),
        *lake_views,
    }
    return {
        event: EventReaders(
            tuple(sorted(name for name, wants in consumers.items() if event in wants)),
            tuple(sorted(name for name, handles in read_models.items() if event in handles)),
            tuple(sorted(lake_views.get(event, ()))),
        )
        for event in events
    }


def document_of_readers(
    events: Sequence[type[Event]], codec: Codec, readers: Mapping[str, EventReaders]
) -> Schema:
    """What the file holds: the form in which each event is written, the older forms of it, and who
    reads it.
    """
    return {
        "events": {
            event.__name__: _entry(event, codec, readers.get(event.__name__, EventReaders()))
            for event in sorted(events, key=lambda one: one.__name__)
        }
    }


def _entry(event: type[Event], codec: Codec, readers: EventReaders) -> dict[str, Any]:
    *older, newest = codec.forms(event.__name__)
    return {
        "context": context_of(event),
        "form": name_of(newest.name, newest.version),
        "older": {
            name_of(form.name, form.version): {
                "lowers": can_convert(codec.lineages, newest, form),
                "loses": list(lost_between(codec.lineages, form, newest)),
            }
            for form in older
        },
        **readers.as_json(),
    }
