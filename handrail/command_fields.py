"""The fields of commands: what bounds each, and which of them a person may correct.

One name means the same in every command, so the bounds are kept by name. What has no entry here is
in no command: a test compares, and `docs/bounds.md` shows all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from domain import identifiers
from handrail import bounds
from handrail.bounds import Bound
from handrail.kernel import Command, Money

Path = tuple[str | int, ...]

_IDS: Final = tuple(one for one in vars(identifiers).values() if type(one).__name__ == "NewType")
_SUBJECT: Final = "says what the step is about, and cannot be corrected"
_ANSWER: Final = "is what another company answers, and cannot be corrected"
_MONEY: Final = (
    "says what is paid, by whom or for what: that takes the approval of a second person, and"
    " cannot be corrected"
)

_MONEY_BOUNDS: Final[Mapping[str, Bound]] = {"amount": bounds.AMOUNT, "currency": bounds.CURRENCY}
_BOUNDS: Final[Mapping[str, Bound]] = {
    "card": bounds.REFERENCE,
    "cause": bounds.CAUSE,
    "code": bounds.OUTSIDE,
    "currency": bounds.CURRENCY,
    "day": bounds.DAY_OF_MONTH,
    "delivery": bounds.ID,
    "dispute": bounds.ID,
    "documents": bounds.DOCUMENTS,
    "entry": bounds.OUTSIDE,
    "fee_bps": bounds.BASIS_POINTS,
    "instalments": bounds.INSTALMENTS,
    "kind": bounds.ID,
    "lines": bounds.LINES,
    "number": bounds.INSTALMENT_NUMBER,
    "parcels": bounds.PARCELS,
    "payment": bounds.SAGA_ID,
    "quantity": bounds.QUANTITY,
    "registration": bounds.ID,
    "reminder": bounds.REMINDER,
    "ship_to": bounds.ID,
    "skus": bounds.LINES,
}
_NESTED: Final[Mapping[tuple[str, ...], Bound]] = {
    ("documents", "reference"): bounds.REFERENCE,
    ("reply", "reference"): bounds.OUTSIDE,
}
_CORRECTABLE: Final = frozenset(
    {"at", "card", "cause", "completed_at", "documents", "parcels", "registration", "ship_to"}
)
"""Whatever is not here moves money, goods or debts, or is not known yet."""


def why_not_correctable(command: type[Command], field: str) -> str | None:
    """Why nobody may correct this field, in words for the operator; None where a person may.

    The one place that decides it: an approval by a second person would be asked for here.
    """
    kind = get_type_hints(command)[field]
    if kind in _IDS:
        return _SUBJECT
    if field == "reply":
        return _ANSWER
    if field in _CORRECTABLE and not _holds_money(kind):
        return None
    return _MONEY


def wrong_value(command: Command, field: str) -> tuple[Path, str] | None:
    """Where a field has a value that no request may have, and why; None where it fits."""
    return _wrong(get_type_hints(type(command))[field], getattr(command, field), (field,))


def bounds_of(command: type[Command]) -> Iterator[tuple[Path, Bound | str]]:
    """What bounds each field of a command, and of what is in it; of a choice, what may be chosen.

    Raises LookupError for a field without a bound.
    """
    hints = get_type_hints(command)
    for field in fields(command):
        yield from _bounds(hints[field.name], (field.name,))


def _holds_money(kind: Any) -> bool:
    if kind is Money:
        return True
    inner = list(get_args(kind))
    if is_dataclass(kind):
        inner += get_type_hints(kind).values()
    return any(_holds_money(one) for one in inner if one is not Ellipsis)


def _bound(kind: Any, path: Path) -> Bound | None:
    """Of one value, which is no list and has no fields; None where it is a choice."""
    if kind in _IDS:
        return bounds.SAGA_ID if kind is identifiers.PayoutId else bounds.ID
    if kind is datetime:
        return bounds.MOMENT
    if kind is date:
        return bounds.DAY
    if get_origin(kind) is Literal or kind in {bool, NoneType}:
        return None
    return _named(path)


def _named(path: Path) -> Bound:
    names = [one for one in path if isinstance(one, str)]
    return _NESTED.get(tuple(names[-2:])) or _BOUNDS[names[-1]]


def _wrong(kind: Any, value: Any, path: Path) -> tuple[Path, str] | None:
    found: Iterator[tuple[Path, str] | None]
    if get_origin(kind) is tuple:
        if said := _named(path).wrong_with(value):
            return path, said
        inner = get_args(kind)[0]
        found = (_wrong(inner, one, (*path, n)) for n, one in enumerate(value))
    elif kind is Money:
        found = (
            ((*path, name), said) if (said := bound.wrong_with(getattr(value, name))) else None
            for name, bound in _MONEY_BOUNDS.items()
        )
    elif is_dataclass(value):
        hints = get_type_hints(type(value))
        found = (
            _wrong(hints[one.name], getattr(value, one.name), (*path, one.name))
            for one in fields(value)
        )
    else:
        bound = None if value is None else _bound(kind, path)
        said = None if bound is None else bound.wrong_with(value)
        return (path, said) if said else None
    return next((one for one in found if one), None)


def _bounds(kind: Any, path: Path) -> Iterator[tuple[Path, Bound | str]]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        yield path, _named(path)
        yield from _bounds(inner[0], (*path, 0))
    elif origin in {Union, UnionType}:
        for one in inner:
            if one is not NoneType:
                yield from _bounds(one, path)
    elif kind is Money:
        yield from (((*path, name), bound) for name, bound in _MONEY_BOUNDS.items())
    elif is_dataclass(kind):
        hints = get_type_hints(kind)
        for field in fields(kind):
            yield from _bounds(hints[field.name], (*path, field.name))
    elif (bound := _bound(kind, path)) is not None:
        yield path, bound
    elif kind is bool:
        yield path, "true or false"
    else:
        yield path, "one of " + ", ".join(map(str, inner))
