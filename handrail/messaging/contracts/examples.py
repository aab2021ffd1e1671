"""An example of every event, made from its fields: the same one every time.

A field is filled by its name, where the name says what stands in it; otherwise by its type.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, NewType, Union, get_args, get_origin

from handrail.kernel import Event, Money
from handrail.tenant_word import key_of


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What the examples of events show: values by the name of a field, and the name of a stream.

    `meanings` are what events mean to the business, by their names, where it says that otherwise
    than their classes do.
    """

    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stream: str = "stream-1"
    meanings: Mapping[str, str] = dataclasses.field(default_factory=dict)


_MONEY: Final = Money(75_00, "EUR")
_PLAIN: Final[Mapping[Any, Any]] = {
    int: 2,
    bool: True,
    Money: _MONEY,
    date: date(2026, 4, 2),
    datetime: datetime(2026, 3, 2, 12, 0, tzinfo=UTC),
}


def example_of(event: type[Event], examples: Examples, tenant: str) -> Event:
    """An event with every field filled; where it holds the tenant, as a field of that name.

    Raises TypeError for a field of a type it does not know.
    """
    return typing.cast("Event", _filled(event, examples.fields, tenant))


def _filled(cls: type, named: Mapping[str, Any], tenant: str) -> Any:
    hints = typing.get_type_hints(cls)
    values = {
        field.name: _value(hints[field.name], key_of(cls, field.name, tenant), named, tenant)
        for field in dataclasses.fields(cls)
    }
    return cls(**values)


def _value(annotation: Any, name: str, named: Mapping[str, Any], tenant: str) -> Any:
    if isinstance(annotation, NewType):
        annotation = annotation.__supertype__
    if get_origin(annotation) in {types.UnionType, Union}:
        annotation = get_args(annotation)[0]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        known = named.get(name)
        return known if isinstance(known, tuple) else (_value(arguments[0], name, named, tenant),)
    if origin is Literal:
        return arguments[0]
    if annotation is str:
        known = named.get(name)
        return known if isinstance(known, str) else f"{name.replace('_', '-')}-1"
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if dataclasses.is_dataclass(annotation):
        return _filled(typing.cast("type", annotation), named, tenant)
    raise TypeError(f"{name}: there is no example of {annotation}")
