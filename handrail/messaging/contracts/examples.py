"""An example of every event, made from its fields: the same one every time.

A field is filled by its name, where the name says what stands in it; otherwise by its type.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, NewType, Union, get_args, get_origin

from handrail.kernel import Event, Money

_NAMED: Final[Mapping[str, Any]] = {
    "order": "order-3fa9c1",
    "customer": "customer-7be204",
    "merchant": "merchant-51",
    "sku": "cup",
    "saga": "order-3fa9c1",
    "saga_type": "Checkout",
    "step": "HoldCredit",
    "steps": ("PlaceOrder", "ReserveStock", "HoldCredit"),
    "outcome": "CreditHeld",
    "because": "CreditRefused",
    "reason": "25.00 EUR over the credit limit",
    "cause": "HTTP 503",
    "actor": "ann",
    "return_id": "return-90d1",
    "payout": "payout-2026-03-02-merchant-51",
    "intervention": "intervention-8c2e",
    "code": "insufficient-funds",
    "currency": "EUR",
    "card": "card-token-1881",
    "run": "0195a2f4-7c1e-7d55-9a40-2f0b6d9a4c11",
    "correction": "",
    "evidence": "",
    "said": "",
    "missing": ("identity",),
    "registration": "HRB 12345",
    "kind": "retry",
}
_MONEY: Final = Money(75_00, "EUR")
_PLAIN: Final[Mapping[Any, Any]] = {
    int: 2,
    bool: True,
    Money: _MONEY,
    date: date(2026, 4, 2),
    datetime: datetime(2026, 3, 2, 12, 0, tzinfo=UTC),
}


def example_of(event: type[Event]) -> Event:
    """Raises TypeError for a field whose type it does not know."""
    return typing.cast("Event", _filled(event))


def _filled(cls: type) -> Any:
    hints = typing.get_type_hints(cls)
    values = {
        field.name: _value(hints[field.name], field.name) for field in dataclasses.fields(cls)
    }
    return cls(**values)


def _value(annotation: Any, name: str) -> Any:
    if isinstance(annotation, NewType):
        annotation = annotation.__supertype__
    if get_origin(annotation) in {types.UnionType, Union}:
        annotation = get_args(annotation)[0]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        named = _NAMED.get(name)
        return named if isinstance(named, tuple) else (_value(arguments[0], name),)
    if origin is Literal:
        return arguments[0]
    if annotation is str:
        named = _NAMED.get(name)
        return named if isinstance(named, str) else f"{name.replace('_', '-')}-1"
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if dataclasses.is_dataclass(annotation):
        return _filled(typing.cast("type", annotation))
    raise TypeError(f"{name}: there is no example of {annotation}")
