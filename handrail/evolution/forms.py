"""The form of a stored message: a name and a schema version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Data: TypeAlias = dict[str, Any]
"""A message as JSON, by the keys that are stored."""


@dataclass(frozen=True)
class Form:
    """A name and a schema version as they are stored with a message. Versions begin at 1."""

    name: str
    version: int = 1

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


Piece: TypeAlias = tuple[Form, Data]
"""Data, and the form they are in."""


class CannotBeLowered(Exception):
    """There is no way down to the older form that all live processes can read: ask again once the
    write level was raised (`handrail contracts level` says what holds it back).
    """


class WrongChange(ValueError):
    """A change is declared wrongly: do what the sentence says."""


def named(parts: Sequence[Piece]) -> Mapping[str, Data]:
    """Data by the names of their forms."""
    return {form.name: data for form, data in parts}


def same_but_for(loses: Sequence[str], some: Sequence[Piece], others: Sequence[Piece]) -> bool:
    """Whether these are the same data in the same forms, without looking at some fields."""

    def kept(pieces: Sequence[Piece]) -> Sequence[Piece]:
        return [
            (form, {key: value for key, value in data.items() if key not in loses})
            for form, data in pieces
        ]

    return kept(some) == kept(others)
