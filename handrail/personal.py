"""Personal: marks a text of a message as personal data, with the subject under whose key it is
sealed.

    passport: Annotated[str, Personal(subject="guest")]

What is stored and sent of such a text is its sealed form: `seal` and `open` are in
`handrail/privacy/`. Deciders, workflows and projections pass a sealed text on as it is, and never
look into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

MARK: Final = "\x1e"
"""Begins a sealed text. No text from outside holds it: every bound refuses control characters."""
SEALED: Final = re.compile(
    r"(?P<mark>\x1e|\\u001e)sealed:(?P<key>[0-9a-f]{32}):(?P<field>[A-Za-z0-9_]{1,64})"
    r":(?P<text>[A-Za-z0-9_-]+);"
)
"""A sealed text within another text; with `\\u001e` in a text that is JSON itself."""
ERASED: Final = "[erased]"
"""What is read of a text whose subject was erased."""


@dataclass(frozen=True, kw_only=True)
class Personal:
    """Beside `str`, `str | None` or `tuple[str, ...]` in `Annotated`.

    `subject` is the field of the same dataclass that holds the subject's id, and its name is the
    kind of subject, unless `kind` is given. Without a `subject` it is that of the saga
    (`SagaType.subject`), or the saga itself where that has none.
    """

    subject: str = ""
    kind: str = ""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        """The contracts of events say which fields are sealed, and for which subject."""
        schema: dict[str, Any] = {**handler(core), "x-personal": self.subject or "saga"}
        return schema


def subject_of(kind: str, identity: str) -> str:
    """The name of a subject: ids of two kinds may be equal."""
    return f"{kind}:{identity}"


def is_sealed(value: Any) -> bool:
    """Whether a text is sealed as a whole."""
    return isinstance(value, str) and SEALED.fullmatch(value) is not None


def may_equal(one: str, other: str) -> bool:
    """Whether two texts may be the same: of a sealed text that cannot be known."""
    return one == other or is_sealed(one) or is_sealed(other)


def holds_sealed(text: str) -> bool:
    """Whether a text, or JSON, has a sealed text in it."""
    return SEALED.search(text) is not None


@dataclass(frozen=True)
class Marks:
    """Personal fields of a dataclass by name; `within` are fields whose dataclasses have some."""

    personal: dict[str, Personal] = field(default_factory=dict)
    within: tuple[str, ...] = ()


_NONE: Final = Marks()
_KNOWN: Final[dict[type[Any], Marks]] = {}


def marks_of(cls: type[Any]) -> Marks:
    """Of any class; those that are no dataclass have none."""
    if (known := _KNOWN.get(cls)) is None:
        known = _KNOWN[cls] = _marks_of(cls) if is_dataclass(cls) else _NONE
    return known


def _marks_of(cls: type[Any]) -> Marks:
    personal: dict[str, Personal] = {}
    within: list[str] = []
    for name, hint in _hints(cls).items():
        if mark := _mark(hint):
            personal[name] = mark
        elif any(has_marks(one) for one in _classes(hint)):
            within.append(name)
    return Marks(personal, tuple(within))


def has_marks(cls: type[Any]) -> bool:
    """Whether the class, or a dataclass in it, has a personal field."""
    found = marks_of(cls)
    return bool(found.personal or found.within)


def personal_names(cls: type[Any]) -> frozenset[str]:
    """The names of the personal fields of a class, and of the dataclasses within it."""
    marks, hints = marks_of(cls), _hints(cls) if is_dataclass(cls) else {}
    inner = (one for name in marks.within for one in _classes(hints[name]))
    return frozenset(marks.personal).union(*map(personal_names, inner))


def mistakes_of(cls: type[Any]) -> Iterator[str]:
    """What is declared wrongly of the personal fields of a class, a sentence each."""
    names = {one.name for one in fields(cls)} if is_dataclass(cls) else set()
    hints = _hints(cls) if names else {}
    for name, mark in marks_of(cls).personal.items():
        where = f"{cls.__name__}.{name}"
        if mark.subject and mark.subject not in names:
            yield (
                f"{where} is personal with the subject {mark.subject}, which {cls.__name__} does"
                " not have: name a field of it, or leave the subject out for that of the saga"
            )
        elif mark.subject == name or mark.subject in marks_of(cls).personal:
            yield f"{where} has a subject that is personal itself: a key is found by its id"
        if not _is_text(hints[name]):
            yield f"{where} is personal and no text: make it str, str | None or tuple[str, ...]"
    for name in marks_of(cls).within:
        for inner in _classes(hints[name]):
            yield from mistakes_of(inner)


def _hints(cls: type[Any]) -> dict[str, Any]:
    names = {one.name for one in fields(cls)}
    found = get_type_hints(cls, include_extras=True)
    return {name: hint for name, hint in found.items() if name in names}


def _mark(hint: Any) -> Personal | None:
    """Also of `Annotated[str, Personal(...)] | None`."""
    if get_origin(hint) is Annotated:
        return next((one for one in get_args(hint)[1:] if isinstance(one, Personal)), None)
    if get_origin(hint) in {Union, UnionType, tuple}:
        return next((mark for one in get_args(hint) if (mark := _mark(one))), None)
    return None


def _is_text(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _is_text(get_args(hint)[0])
    if get_origin(hint) in {Union, UnionType}:
        return all(one is NoneType or _is_text(one) for one in get_args(hint))
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        return len(inner) == 2 and inner[1] is Ellipsis and _is_text(inner[0])  # noqa: PLR2004
    return hint is str or getattr(hint, "__supertype__", None) is str


def _classes(hint: Any) -> Iterator[type[Any]]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for inner in get_args(hint):
        if inner is not Ellipsis:
            yield from _classes(inner)
