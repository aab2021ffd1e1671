"""The fields of commands: what bounds each, and which of them a person may correct.

The types of the library and the command's `FieldPolicy` say it. `docs/bounds.md` shows all fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from handrail import bounds
from handrail.bounds import Bound
from handrail.field_policy import FieldPolicy
from handrail.kernel import Command, Money, TenantId

Path = tuple[str | int, ...]

_SUBJECT: Final = "says what the step is about, and cannot be corrected"
_ANSWER: Final = "is what another company answers, and cannot be corrected"
_MONEY: Final = (
    "says what is paid, by whom or for what: that takes the approval of a second person, and"
    " cannot be corrected"
)

_MONEY_BOUNDS: Final[Mapping[str, Bound]] = {"amount": bounds.AMOUNT, "currency": bounds.CURRENCY}
_IDS: Final[Mapping[Any, Bound]] = {TenantId: bounds.ID}


def why_not_correctable(command: type[Command], field: str) -> str | None:
    """Why nobody may correct this field, in words for the operator; None where a person may.

    The one place that decides it: an approval by a second person would be asked for here.
    """
    kind, policy = get_type_hints(command)[field], command.field_policy
    if kind in _IDS or kind in policy.ids:
        return _SUBJECT
    if field in policy.answers:
        return _ANSWER
    if field in policy.correctable and not _holds_money(kind):
        return None
    return _MONEY


def wrong_value(command: Command, field: str) -> tuple[Path, str] | None:
    """Where a field has a value that no request may have, and why; None where it fits."""
    kind = get_type_hints(type(command))[field]
    return _wrong(command.field_policy, kind, getattr(command, field), (field,))


def bounds_of(command: type[Command]) -> Iterator[tuple[Path, Bound | str]]:
    """What bounds each field of a command, and of what is in it; of a choice, what may be chosen.

    Raises LookupError for a field without a bound.
    """
    hints = get_type_hints(command)
    for field in fields(command):
        yield from _bounds(command.field_policy, hints[field.name], (field.name,))


def _holds_money(kind: Any) -> bool:
    if kind is Money:
        return True
    inner = list(get_args(kind))
    if is_dataclass(kind):
        inner += get_type_hints(kind).values()
    return any(_holds_money(one) for one in inner if one is not Ellipsis)


def _bound(policy: FieldPolicy, kind: Any, path: Path) -> Bound | None:
    """Of one value, which is no list and has no fields; None where it is a choice."""
    if (id_ := policy.ids.get(kind) or _IDS.get(kind)) is not None:
        return id_
    if kind is datetime:
        return bounds.MOMENT
    if kind is date:
        return bounds.DAY
    if get_origin(kind) is Literal or kind in {bool, NoneType}:
        return None
    return _named(policy, path)


def _named(policy: FieldPolicy, path: Path) -> Bound:
    names = [one for one in path if isinstance(one, str)]
    within = policy.nested.get((names[-2], names[-1])) if len(names) > 1 else None
    return within or policy.bounds[names[-1]]


def _wrong(policy: FieldPolicy, kind: Any, value: Any, path: Path) -> tuple[Path, str] | None:
    found: Iterator[tuple[Path, str] | None]
    if get_origin(kind) is tuple:
        if said := _named(policy, path).wrong_with(value):
            return path, said
        inner = get_args(kind)[0]
        found = (_wrong(policy, inner, one, (*path, n)) for n, one in enumerate(value))
    elif kind is Money:
        found = (
            ((*path, name), said) if (said := bound.wrong_with(getattr(value, name))) else None
            for name, bound in _MONEY_BOUNDS.items()
        )
    elif is_dataclass(value):
        hints = get_type_hints(type(value))
        found = (
            _wrong(policy, hints[one.name], getattr(value, one.name), (*path, one.name))
            for one in fields(value)
        )
    else:
        bound = None if value is None else _bound(policy, kind, path)
        said = None if bound is None else bound.wrong_with(value)
        return (path, said) if said else None
    return next((one for one in found if one), None)


def _bounds(policy: FieldPolicy, kind: Any, path: Path) -> Iterator[tuple[Path, Bound | str]]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        yield path, _named(policy, path)
        yield from _bounds(policy, inner[0], (*path, 0))
    elif origin in {Union, UnionType}:
        for one in inner:
            if one is not NoneType:
                yield from _bounds(policy, one, path)
    elif kind is Money:
        yield from (((*path, name), bound) for name, bound in _MONEY_BOUNDS.items())
    elif is_dataclass(kind):
        hints = get_type_hints(kind)
        for field in fields(kind):
            yield from _bounds(policy, hints[field.name], (*path, field.name))
    elif (bound := _bound(policy, kind, path)) is not None:
        yield path, bound
    elif kind is bool:
        yield path, "true or false"
    else:
        yield path, "one of " + ", ".join(map(str, inner))
