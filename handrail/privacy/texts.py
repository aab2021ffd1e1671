"""PersonalTexts: seals the personal texts of messages, and opens them where they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar, cast

from handrail.errors import OutOfOrder
from handrail.personal import (
    SEALED,
    Personal,
    holds_sealed,
    is_sealed,
    marks_of,
    subject_of,
)
from handrail.privacy import cipher
from handrail.privacy.keys import Destroyed, SubjectKey, SubjectKeys

T = TypeVar("T")


class SubjectErased(OutOfOrder):
    """The personal data that this needs was erased."""


class NoSubjectKeys(Exception):
    """This process has no keys of subjects, and would have to store a secret in clear."""


class PersonalTexts:
    """Seals and opens. Without keys nothing is sealed, and what is sealed stays so.

    `seals` is False while processes run that cannot open sealed texts yet (docs/versioning.md).
    """

    def __init__(self, keys: SubjectKeys | None, *, seals: bool = True) -> None:
        self._keys = keys
        self.seals = seals and keys is not None

    async def seal(self, message: T, otherwise: str = "") -> T:
        """The message with its personal texts sealed; those that are sealed already stay as they
        are. `otherwise` is the subject of texts that name none.

        Raises ValueError for a text without a subject.
        """
        [sealed] = await self.seal_all([message], otherwise)
        return sealed

    async def seal_all(self, messages: Sequence[T], otherwise: str = "") -> Sequence[T]:
        """All of them, with at most one look for keys."""
        if not self.seals:
            return messages
        subjects = {one for message in messages for one in _subjects(message, otherwise)}
        if not subjects:
            return messages
        assert self._keys is not None
        keys = await self._keys.of_subjects(subjects)
        return [_sealed(message, otherwise, keys) for message in messages]

    async def seal_text(self, text: str, field: str, subject: str) -> str:
        """A text that stands in no message."""
        if not self.seals or not text or is_sealed(text):
            return text
        assert self._keys is not None
        keys = await self._keys.of_subjects({subject})
        return cipher.seal_text(keys[subject], field, text)

    async def seal_secret(self, secret: str, field: str, subject: str) -> str:
        """A secret of a subject, which is sealed also where personal texts are stored in clear.

        Raises NoSubjectKeys.
        """
        if self._keys is None:
            raise NoSubjectKeys
        keys = await self._keys.of_subjects({subject})
        return cipher.seal_text(keys[subject], field, secret)

    async def open(self, value: T) -> T:
        """A text, or a dataclass, list or mapping with texts, in clear; `[erased]` stands for what
        cannot be opened any more.
        """
        if self._keys is None:
            return value
        while ids := _key_ids(value):  # a reason may repeat a text that is sealed itself
            value = cast("T", _opened(value, await self._keys.by_ids(ids)))
        return value

    async def reveal(self, value: T) -> T:
        """In clear, for another company. Raises SubjectErased where it cannot be opened."""
        while ids := _key_ids(value):
            keys = await self._keys.by_ids(ids) if self._keys is not None else {}
            if missing := sorted(ids - keys.keys()):
                raise SubjectErased(f"no key {', '.join(missing)}")
            value = cast("T", _opened(value, keys))
        return value

    async def destroy(self, subject: str, by: str) -> Destroyed:
        """Destroy the subject's keys: what was sealed under them is never read again."""
        if self._keys is None:
            return Destroyed((), ())
        return await self._keys.destroy(subject, by)


CLEAR: Final = PersonalTexts(None)
"""Of a process without keys."""


def _subjects(value: Any, otherwise: str) -> Iterator[str]:
    marks = marks_of(type(value))
    for name, mark in marks.personal.items():
        texts = getattr(value, name)
        for text in texts if isinstance(texts, tuple) else (texts,):
            if text and not is_sealed(text):
                yield _subject(value, name, mark, otherwise)
    for name in marks.within:
        for inner in _inner(getattr(value, name)):
            yield from _subjects(inner, otherwise)


def _subject(value: Any, name: str, mark: Personal, otherwise: str) -> str:
    if mark.subject and (identity := getattr(value, mark.subject)):
        return subject_of(mark.kind or mark.subject, identity)
    if not otherwise:
        raise ValueError(f"{type(value).__name__}.{name} is personal, and of no subject here")
    return otherwise


def _inner(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, tuple | list) else (value,)


def _sealed(value: Any, otherwise: str, keys: Mapping[str, SubjectKey]) -> Any:
    marks = marks_of(type(value))
    changes: dict[str, Any] = {}
    for name, mark in marks.personal.items():

        def sealed(text: str, name: str = name, mark: Personal = mark) -> str:
            if not text or is_sealed(text):
                return text
            return cipher.seal_text(keys[_subject(value, name, mark, otherwise)], name, text)

        texts = getattr(value, name)
        changes[name] = (
            tuple(map(sealed, texts)) if isinstance(texts, tuple) else texts and sealed(texts)
        )
    for name in marks.within:
        inner = getattr(value, name)
        if isinstance(inner, tuple | list):
            changes[name] = type(inner)(_sealed(one, otherwise, keys) for one in inner)
        elif inner is not None:
            changes[name] = _sealed(inner, otherwise, keys)
    return replace(value, **changes) if changes else value


def _key_ids(value: Any) -> set[str]:
    return {one for text in _texts(value) for one in cipher.key_ids(text)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if SEALED.search(value):
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _texts(one)
    elif is_dataclass(value):
        for one in fields(value):
            yield from _texts(getattr(value, one.name))


def _opened(value: Any, keys: Mapping[str, SubjectKey]) -> Any:
    if isinstance(value, str):
        return cipher.open_text(keys, value) if holds_sealed(value) else value
    if isinstance(value, Mapping):
        return {name: _opened(one, keys) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_opened(one, keys) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: getattr(value, one.name) for one in fields(value)}
        changed = {
            name: now for name, one in parts.items() if (now := _opened(one, keys)) is not one
        }
        return replace(value, **changed) if changed else value
    return value
