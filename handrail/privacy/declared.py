"""Mistakes in what an App declares as personal, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from handrail.evolution.changes import Change, NewVersion
from handrail.evolution.fields import FieldRenamed
from handrail.personal import MARK, has_marks, holds_sealed, marks_of, mistakes_of

if TYPE_CHECKING:
    from handrail.kernel import Command
    from handrail.sagas.saga_type import SagaType

_PROBE: Final = f"{MARK}sealed:{'0' * 32}:probe:AA;"
"""Looks like a sealed text, and is found where a personal text has come to."""


def mistakes_of_messages(messages: Iterable[type]) -> Iterator[str]:
    """Of events and commands: subjects that do not exist, and fields that are no texts."""
    for message in messages:
        yield from mistakes_of(message)


def mistakes_of_names(type_: SagaType[Any], commands: Iterable[type[Command]]) -> Iterator[str]:
    """What names a saga, or is shown of it, holds nothing personal; and it has a subject where
    a command of it has personal fields of none. `commands` are those that it asks for.
    """
    asked = type_.example_input
    yield from mistakes_of(type(asked))
    probed = replace(asked, **dict.fromkeys(marks_of(type(asked)).personal, _PROBE))
    for name in ("id", "tenant", "subject", "summary", "details"):
        if holds_sealed(getattr(type_, name)(probed)):
            yield (
                f"the {name} of the saga {type_.name} holds a personal field of its input: it names"
                " streams, search attributes or keys, or is shown, so make it of other fields"
            )
    for command in commands:
        for field, mark in marks_of(command).personal.items():
            if not mark.subject and not type_.subject(asked):
                yield (
                    f"{command.__name__}.{field} is personal, of the subject of its saga, and"
                    f" {type_.name} has none: give the SagaType a subject, or the field"
                )


def mistakes_of_renamed_subjects(
    changes: Sequence[Change], messages: Iterable[type]
) -> Iterator[str]:
    """A field that says whose texts they are names the kind of subject, too: under another name it
    would be another subject, and to erase that one would leave what was sealed before.
    """
    renamed = [
        (change, one)
        for change in changes
        if isinstance(change, NewVersion)
        for one in change.fields
        if isinstance(one, FieldRenamed)
    ]
    classes = {one.__name__: one for one in messages} if renamed else {}
    for change, one in renamed:
        marks = marks_of(classes[change.event]).personal if change.event in classes else {}
        for name, mark in marks.items():
            if mark.subject == one.field and not mark.kind:
                yield (
                    f"{change.event}.{name} is personal, and {change.marker} renames its subject"
                    f" {one.was}, which is its kind: say Personal(subject={one.field!r},"
                    f" kind={one.was!r}), or texts of before stay when {one.field} is erased"
                )


def are_declared(classes: Iterable[type]) -> bool:
    """Whether any of the classes has a personal field."""
    return any(has_marks(one) for one in classes)
