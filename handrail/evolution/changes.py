"""Changes of messages: each is one value, from which everything else follows.

Up-cast, down-cast, the difference of the schema, the line in `docs/contracts/changes.md`,
AsyncAPI's `deprecated` and the test data in `docs/contracts/changes/` come from it, and so does the
write level: until all live processes can read the newer form, the older one is written.

    App(evolutions=[
        NewVersion("SeatBooked", 2, (FieldAdded("class", "economy"),), loses=("class",)),
        EventRenamed("SeatReserved", 3, was="SeatBooked"),
    ])

Versions go on across names: `SeatReserved` begins at version 3 because `SeatBooked` got to 2. So a
version of a message says by itself how far it has come, and none but the first is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from handrail.evolution.fields import FieldChange
from handrail.evolution.forms import CannotBeLowered, Data, Form, Piece, named


@dataclass(frozen=True)
class _EventChange:
    """A change of the event from this version on: unless its kind says otherwise, the event has the
    same name before and after it.
    """

    event: str
    version: int

    @property
    def old(self) -> Form:
        return Form(self.event, self.version - 1)

    @property
    def marker(self) -> Form:
        """What a write level says once the newer form may be written."""
        return Form(self.event, self.version)

    @property
    def new(self) -> tuple[Form, ...]:
        return (self.marker,)

    @property
    def can_be_lowered(self) -> bool:
        return True


@dataclass(frozen=True)
class NewVersion(_EventChange):
    """A message has other fields from this version on, in the order in which they change.

    `loses` are the newer version's fields whose values do not come back once they were lowered.
    """

    fields: tuple[FieldChange, ...]
    loses: tuple[str, ...] = ()

    def lift(self, data: Data) -> Sequence[Piece]:
        for one in self.fields:
            data = one.lift(data)
        return [(self.marker, data)]

    def lower(self, parts: Sequence[Piece]) -> Data:
        [(_, data)] = parts
        for one in reversed(self.fields):
            data = one.lower(data)
        return data

    def said(self) -> Sequence[str]:
        """What changed, in words."""
        return [str(one) for one in self.fields]


@dataclass(frozen=True)
class EventRenamed(_EventChange):
    """An event has another name from this version on; its fields stay."""

    was: str
    loses: tuple[str, ...] = ()

    @property
    def old(self) -> Form:
        return Form(self.was, self.version - 1)

    def lift(self, data: Data) -> Sequence[Piece]:
        return [(self.marker, data)]

    def lower(self, parts: Sequence[Piece]) -> Data:
        [(_, data)] = parts
        return data

    def said(self) -> Sequence[str]:
        return [f"`{self.was}` is called `{self.event}`"]


@dataclass(frozen=True)
class EventSplit(_EventChange):
    """An event is several from this version on: `into`, in the order in which they are applied.

    `up` makes of the old event's data the data of its parts, by name; it may leave some out,
    but not all. `down` makes of parts that were appended together the old event's data, and
    raises KeyError for a part that it cannot do without. Without `down` the parts are events
    that older processes know already: those are written as they are.

    Parts that were lowered are one stored event: one position, one version. They are lowered
    together where they are beside each other in an append, in the order of `into`.
    """

    into: tuple[Form, ...]
    up: Callable[[Data], Mapping[str, Data]]
    down: Callable[[Mapping[str, Data]], Data] | None = None
    loses: tuple[str, ...] = ()

    @property
    def new(self) -> tuple[Form, ...]:
        return self.into

    @property
    def can_be_lowered(self) -> bool:
        return self.down is not None

    def lift(self, data: Data) -> Sequence[Piece]:
        parts = self.up(data)
        return [(form, dict(parts[form.name])) for form in self.into if form.name in parts]

    def lower(self, parts: Sequence[Piece]) -> Data:
        if self.down is None:
            raise CannotBeLowered(f"the parts of {self.event} have no way down")
        try:
            return self.down(named(parts))
        except KeyError as missing:
            there = ", ".join(form.name for form, _ in parts)
            raise CannotBeLowered(
                f"{there} cannot be written as {self.old} without {missing.args[0]}: append them"
                f" together, or wait until {self.marker} may be written"
            ) from None

    def said(self) -> Sequence[str]:
        return [f"`{self.event}` is split into " + ", ".join(f"`{one.name}`" for one in self.into)]


@dataclass(frozen=True)
class EventRetired(_EventChange):
    """An event is no longer written from this version on; `by` is what takes its place.

    `up` makes of its data those of `by`, `down` the reverse: until all live processes can
    read it, `by` is written as the old event. Without `down` it is an event that older
    processes know already, and is written as it is.
    """

    by: Form
    up: Callable[[Data], Data] = dict
    down: Callable[[Data], Data] | None = None
    loses: tuple[str, ...] = ()

    @property
    def new(self) -> tuple[Form, ...]:
        return (self.by,)

    @property
    def can_be_lowered(self) -> bool:
        return self.down is not None

    def lift(self, data: Data) -> Sequence[Piece]:
        return [(self.by, dict(self.up(data)))]

    def lower(self, parts: Sequence[Piece]) -> Data:
        [(form, data)] = parts
        if self.down is None:
            raise CannotBeLowered(f"{form} has no way down to {self.old}")
        return self.down(data)

    def said(self) -> Sequence[str]:
        return [f"`{self.event}` is retired, `{self.by.name}` takes its place"]


Change: TypeAlias = NewVersion | EventRenamed | EventSplit | EventRetired


def lost_by(change: Change) -> tuple[str, ...]:
    """Fields that its way down cannot keep, by its kind: what `loses` has to name at least."""
    fields: tuple[Any, ...] = change.fields if isinstance(change, NewVersion) else ()
    return tuple(name for one in fields for name in one.loses)
