"""Writes messages in the forms that the write levels allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from handrail.evolution.changes import EventRetired, EventSplit
from handrail.evolution.forms import CannotBeLowered, Form, Piece, same_but_for
from handrail.evolution.lineages import Lineages, allowed_of


@dataclass(frozen=True)
class Lowering:
    """What is written in an older form at the moment."""

    lineages: Lineages
    to: Mapping[str, Form]
    """The form of each class whose newest may not be written yet, by its name."""
    replaced: Sequence[tuple[EventSplit | EventRetired, Form]]
    """Splits and retirements that are not to be seen yet, with the old event's form."""

    @cached_property
    def names(self) -> frozenset[str]:
        """Classes of which some message may be written otherwise than in its newest form."""
        parts = {form for change, _ in self.replaced for form in change.new}
        of_parts = (
            name for name in self.lineages.names if not parts.isdisjoint(self.lineages.forms(name))
        )
        return frozenset((*self.to, *of_parts))

    def lowered(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Messages of one append in the forms that may be written: fewer, where parts of what is
        not split yet are one event. Raises CannotBeLowered.
        """
        for change, form in self.replaced:
            pieces = self._put_together(change, form, pieces)
        return [self._lower(*one) for one in pieces]

    def _put_together(
        self, change: EventSplit | EventRetired, form: Form, pieces: Sequence[Piece]
    ) -> Sequence[Piece]:
        found: list[Piece] = []
        run: list[Piece] = []
        last = -1

        def close() -> None:
            if run:
                old = change.lower(run)
                # Parts that do not belong together would come back as others than were appended.
                if isinstance(change, EventSplit) and not same_but_for(
                    change.loses, change.lift(old), run
                ):
                    raise CannotBeLowered(
                        f"{', '.join(str(one) for one, _ in run)} do not make one {change.old}:"
                        f" append them apart, once {change.marker} may be written"
                    )
                found.append((form, self.lineages.lower(change.old, old, form)))
                run.clear()

        for piece in pieces:
            place = self._place(change, piece[0])
            if place <= last:
                close()
            last = place
            if place < 0:
                found.append(piece)
                continue
            to = change.new[place]
            run.append((to, self.lineages.lower(*piece, to)))
        close()
        return found

    def _place(self, change: EventSplit | EventRetired, form: Form) -> int:
        """Which of the parts it is, or became; -1: none of them."""
        for place, part in enumerate(change.new):
            try:
                self.lineages.path(part, form)
            except CannotBeLowered:
                continue
            return place
        return -1

    def _lower(self, form: Form, data: dict[str, object]) -> Piece:
        to = self.to.get(form.name)
        if to is None or form == to or form.version < self.lineages.newest.get(form.name, 0):
            return form, data
        return to, self.lineages.lower(form, data, to)


def lowering_at(lineages: Lineages, rows: Mapping[str, int] | None) -> Lowering | None:
    """None where everything may be written in its newest form."""
    if rows is None:
        return None
    to: dict[str, Form] = {}
    for name, changes in lineages.main.items():
        allowed = allowed_of((changes[0].old, *(one.marker for one in changes)), rows)
        if allowed != changes[-1].marker:
            to[name] = allowed
    replaced: list[tuple[EventSplit | EventRetired, Form]] = []
    for change in reversed(lineages.replaced):
        ladder = lineages.ladder_of(change)
        allowed = allowed_of(ladder, rows)
        if allowed != change.marker:
            replaced.append((change, allowed))
    return Lowering(lineages, to, replaced) if to or replaced else None
