"""Lineages: the forms that each message has been stored in, and the ways between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from handrail.evolution.changes import Change, EventRetired, EventSplit, NewVersion
from handrail.evolution.forms import CannotBeLowered, Data, Form, Piece


@dataclass(frozen=True)
class Lineages:
    """All changes of an App, and the names of its classes. See `mistakes_of` for what is refused
    before this is made.
    """

    changes: Sequence[Change] = ()
    names: frozenset[str] = frozenset()
    _paths: dict[tuple[Form, Form], Sequence[Change]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def after(self) -> Mapping[Form, Change]:
        """The change that a form went through, by the older form."""
        return {one.old: one for one in self.changes}

    @cached_property
    def newest(self) -> Mapping[str, int]:
        """The newest version of every class, by its name."""
        found = dict.fromkeys(sorted(self.names), 1)
        for one in self.changes:
            for form in one.new:
                if form.name in found:
                    found[form.name] = max(found[form.name], form.version)
        return found

    @cached_property
    def _before(self) -> Mapping[Form, Sequence[Change]]:
        """The changes that lead to a form."""
        found: dict[Form, list[Change]] = {}
        for one in self.changes:
            for form in one.new:
                found.setdefault(form, []).append(one)
        return found

    def forms(self, name: str) -> Sequence[Form]:
        """All forms that a message has been stored in, oldest first and the newest last: with those
        of earlier names, of events that were split into it, and of those it took the place of.
        """
        if name not in self.newest:
            return ()
        found: dict[Form, None] = {}
        self._collect(Form(name, self.newest[name]), found)
        return tuple(found)

    def _collect(self, form: Form, into: dict[Form, None]) -> None:
        for change in self._before.get(form, ()):
            self._collect(change.old, into)
        into[form] = None

    @cached_property
    def stored_names(self) -> Mapping[str, frozenset[str]]:
        """The names under which each message may be stored, by the name of its class."""
        return {
            name: frozenset(form.name for form in self.forms(name)) | {name} for name in self.names
        }

    def stored_keys(self, name: str, key: str) -> frozenset[tuple[str, str]]:
        """The stored names of a class, each with the key that one of its fields has there. A field
        that others became is looked for under the names of all of them.
        """
        found: set[tuple[str, str]] = set()
        keys: dict[Form, set[str]] = {}
        for form in reversed(self.forms(name)):
            there = keys.setdefault(form, {key})
            found.update((form.name, one) for one in there)
            for change in self._before.get(form, ()):
                before = set(there)
                for one in reversed(change.fields if isinstance(change, NewVersion) else ()):
                    if before & set(one.new):
                        before = (before - set(one.new)) | set(one.old)
                keys.setdefault(change.old, set()).update(before)
        return frozenset(found)

    @cached_property
    def current_names(self) -> Mapping[str, frozenset[str]]:
        """The classes that a stored name may be read as, by that name."""
        found: dict[str, set[str]] = {}
        for name, stored in self.stored_names.items():
            for one in stored:
                found.setdefault(one, set()).add(name)
        return {name: frozenset(some) for name, some in found.items()}

    def is_known(self, form: Form) -> bool:
        """Whether messages of this form can be read."""
        return form in self.after or (
            form.name in self.newest and 1 <= form.version <= self.newest[form.name]
        )

    def is_split(self, form: Form) -> bool:
        """Whether it became several messages."""
        while change := self.after.get(form):
            if isinstance(change, EventSplit):
                return True
            [form] = change.new
        return False

    def lift(self, form: Form, data: Data) -> Sequence[Piece]:
        """The data in the newest forms: one, or the parts of what was split."""
        change = self.after.get(form)
        if change is None:
            return [(form, data)]
        found: list[Piece] = []
        for one in change.lift(data):
            found += self.lift(*one)
        return found

    def path(self, old: Form, new: Form) -> Sequence[Change]:
        """The changes from an older form to a newer one of the same message, in their order.

        Raises CannotBeLowered where the newer one does not follow from it alone.
        """
        if (known := self._paths.get((old, new))) is None:
            known = self._paths[old, new] = tuple(self._path(old, new))
        return known

    def _path(self, old: Form, new: Form) -> Iterator[Change]:
        while old != new:
            change = self.after.get(old)
            if change is None or len(change.new) != 1:
                raise CannotBeLowered(f"{new} does not follow from {old} alone")
            yield change
            [old] = change.new

    def lower(self, form: Form, data: Data, to: Form) -> Data:
        """Data of a newer form in an older form of the same message. Raises CannotBeLowered."""
        for change in reversed(self.path(to, form)):
            data = change.lower([(change.new[0], data)])
        return data

    @cached_property
    def main(self) -> Mapping[str, Sequence[Change]]:
        """By the name of a class, its new versions and new names, oldest first: what its own write
        level is about.
        """
        found: dict[str, Sequence[Change]] = {}
        for name, version in self.newest.items():
            changes: list[Change] = []
            form = Form(name, version)
            while change := self._own(form):
                changes.append(change)
                form = change.old
            if changes:
                found[name] = tuple(reversed(changes))
        return found

    def _own(self, form: Form) -> Change | None:
        for one in self._before.get(form, ()):
            if not isinstance(one, EventSplit | EventRetired):
                return one
        return None

    @cached_property
    def replaced(self) -> Sequence[EventSplit | EventRetired]:
        """Changes after which an event is written as others, and that have a way down: the older
        ones first, however they are declared.
        """
        found = (
            one
            for one in self.changes
            if isinstance(one, EventSplit | EventRetired) and one.can_be_lowered
        )
        return tuple(sorted(found, key=lambda one: self._changes_from(one.old), reverse=True))

    def _changes_from(self, form: Form) -> int:
        """How many changes there are at most from a form to the newest."""
        change = self.after.get(form)
        return 1 + max(map(self._changes_from, change.new)) if change else 0

    @cached_property
    def readable(self) -> Mapping[str, int]:
        """What a process announces: the newest version that it reads under every name that has, or
        had, more than its first form.
        """
        found: dict[str, int] = {}
        for one in self.changes:
            for form in (one.old, one.marker):
                found[form.name] = max(found.get(form.name, 0), form.version)
        for name in found.keys() & self.newest.keys():
            found[name] = max(found[name], self.newest[name])
        return found

    @cached_property
    def ladders(self) -> Sequence[Sequence[Form]]:
        """The ladders of write levels: the form that each begins at, and each further one that has
        to be allowed. Those of a class end in its newest form, those of what was split or retired
        in the version at which it was.
        """
        mains = ((one[0].old, *(change.marker for change in one)) for one in self.main.values())
        return (*mains, *(self.ladder_of(one) for one in self.replaced))

    def ladder_of(self, change: Change) -> Sequence[Form]:
        """The ladder that a change is the last rung of."""
        path = (*self._own_path(change.old), change)
        return (path[0].old, *(one.marker for one in path))

    def _own_path(self, form: Form) -> Sequence[Change]:
        changes: list[Change] = []
        while change := self._own(form):
            changes.append(change)
            form = change.old
        return tuple(reversed(changes))


def allowed_of(ladder: Sequence[Form], rows: Mapping[str, int]) -> Form:
    """The form of a ladder that may be written: the newest that a row allows, or its first."""
    allowed = ladder[0]
    for form in ladder:
        if form.version <= rows.get(form.name, 0):
            allowed = form
    return allowed


def readable_of(ladder: Sequence[Form], reads: Mapping[str, int]) -> Form:
    """The newest form of a ladder that a process can read that announced `reads`."""
    readable = ladder[0]
    for form in ladder[1:]:
        if form.version > reads.get(form.name, 1):
            break
        readable = form
    return readable
