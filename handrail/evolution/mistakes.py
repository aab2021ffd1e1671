"""What is wrong with declared changes, in sentences with their remedies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from handrail.evolution.changes import (
    Change,
    EventRenamed,
    EventRetired,
    EventSplit,
    NewVersion,
    lost_by,
)
from handrail.evolution.forms import Form


def mistakes_of(
    changes: Sequence[Change],
    fields: Mapping[str, AbstractSet[str]],
    contexts: Mapping[str, str],
    commands: AbstractSet[str],
) -> Iterator[str]:
    """`fields` and `contexts` are the stored keys and the context of every class that may change,
    by its name; `commands` those of the names that are commands.
    """
    found = False
    for said in _of_versions(changes, fields, commands):
        found = True
        yield said
    if not found:
        yield from _of_contexts(changes, contexts)
        for name in fields:
            yield from _of_fields(name, changes, fields[name])


def _of_versions(
    changes: Sequence[Change], fields: Mapping[str, AbstractSet[str]], commands: AbstractSet[str]
) -> Iterator[str]:
    made: set[Form] = set()
    left: set[Form] = set()
    for one in changes:
        if one.version < 2:  # noqa: PLR2004  # the first is what there was before any change
            yield f"{one.marker} is the first version, and no change makes it: begin at version 2"
        if one.marker in made:
            yield f"{one.marker} is made twice: make one of them version {one.version + 1}"
        elif one.old in left:
            yield f"{one.old} becomes two things: let one of the changes begin at a later version"
        made.add(one.marker)
        left.add(one.old)
        yield from _of_kind(one, fields, commands)
    yield from _of_ends(changes, left, fields)


def _of_ends(
    changes: Sequence[Change], left: AbstractSet[Form], fields: Mapping[str, AbstractSet[str]]
) -> Iterator[str]:
    """Every change begins at a form that there is, and leads to a class."""
    begins = {one.event: one.version for one in changes if isinstance(one, EventRenamed)}
    kept = {one.marker for one in changes if isinstance(one, NewVersion | EventRenamed)}

    def exists(form: Form) -> bool:
        return form in kept or (form.version == 1 and form.name not in begins)

    after = {one.old: one for one in changes}
    for one in changes:
        if _comes_back(one.old, after, len(changes)):
            yield f"{one.old} becomes itself again: take out {one.marker}, or correct its parts"
            return
        if one.version > 1 and not exists(one.old):
            yield (
                f"{one.marker} follows {one.old}, which does not exist: declare the change that"
                " makes it, or correct the number"
            )
        for form in one.new:
            if isinstance(one, EventSplit | EventRetired) and not exists(form):
                yield f"{one.event} becomes {form}, which does not exist: correct the number"
            if form not in left and form.name not in fields:
                yield (
                    f"{form} is the newest form of {form.name}, which no context has: add its"
                    " class, or declare what became of it (EventRenamed, EventSplit, EventRetired)"
                )


def _comes_back(form: Form, after: Mapping[Form, Change], steps: int) -> bool:
    forms = {form}
    for _ in range(steps):
        forms = {new for one in forms if one in after for new in after[one].new}
        if form in forms:
            return True
    return False


def _of_kind(
    one: Change, fields: Mapping[str, AbstractSet[str]], commands: AbstractSet[str]
) -> Iterator[str]:
    gone = one.was if isinstance(one, EventRenamed) else one.event
    if not isinstance(one, NewVersion):
        if commands & {one.event, gone}:
            yield (
                f"{one.event} is a command, whose name is that of its activity: it stays; add a"
                " new command beside it"
            )
        elif gone in fields:
            yield (
                f"{gone} is declared to be gone, and is still a class: remove the class, or the"
                f" change that makes {one.marker}"
            )
    if isinstance(one, EventSplit):
        names = [form.name for form in one.into]
        if len(set(names)) < max(2, len(names)):
            yield f"{one.event} is split, but not into several events: name each in `into`, once"
        if one.event in names:
            yield f"{one.event} is a part of itself: give that part another name"
    if isinstance(one, NewVersion) and not one.fields:
        yield f"{one.marker} changes nothing: name the fields that change, or take it out"


def _of_contexts(changes: Sequence[Change], contexts: Mapping[str, str]) -> Iterator[str]:
    """What was published under a name is of one context."""
    for one in changes:
        found = sorted({contexts[form.name] for form in one.new if form.name in contexts})
        if len(found) > 1:
            yield (
                f"{one.event} is split into events of the contexts {', '.join(found)}: let all be"
                " of one"
            )


def _of_fields(name: str, changes: Sequence[Change], keys: AbstractSet[str]) -> Iterator[str]:
    """From the class's own fields back to those of its first form."""
    own = {one.marker: one for one in changes if isinstance(one, NewVersion | EventRenamed)}
    newest = max((form.version for form in own if form.name == name), default=1)
    form, there = Form(name, newest), set(keys)
    while change := own.get(form):
        for lost in {*lost_by(change)} - {*change.loses}:
            yield (
                f"{form} adds {lost}, which does not come back once it was written as"
                f" {change.old}: say loses=({lost!r},)"
            )
        for lost in set(change.loses) - there:
            yield f"{form} loses {lost}, which it does not have: correct the name"
        for one in reversed(change.fields if isinstance(change, NewVersion) else ()):
            for missing in set(one.new) - there:
                yield (
                    f"{form} has no field {missing}, of which a change says that it has: correct"
                    f" the name, or add the field to {name}"
                )
            for double in set(one.old) & (there - set(one.new)):
                yield (
                    f"{form} still has the field {double}, of which a change says that it is gone:"
                    " correct the name, or remove the field"
                )
            there = (there - set(one.new)) | set(one.old)
        form = change.old
