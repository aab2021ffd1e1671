"""Changes of fields: each converts the JSON of one version to the next, and back.

Fields are named by the keys that are stored. Conversions are pure functions of JSON values; they
get values that they may keep, and must not change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from handrail.evolution.forms import Data


class _Lossless:
    """A change whose way down keeps every value of the newer version."""

    @property
    def loses(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class FieldAdded:
    """A field that older versions do not have. `default` is its JSON value where it was not stored.

    A value other than the default is lost on the way down, so the version declares it in `loses`.
    """

    field: str
    default: Any

    @property
    def new(self) -> tuple[str, ...]:
        return (self.field,)

    @property
    def old(self) -> tuple[str, ...]:
        return ()

    @property
    def loses(self) -> tuple[str, ...]:
        return (self.field,)

    def lift(self, data: Data) -> Data:
        return {self.field: self.default, **data}

    def lower(self, data: Data) -> Data:
        return {key: value for key, value in data.items() if key != self.field}

    def __str__(self) -> str:
        return f"`{self.field}` is new; in older events it is `{_json(self.default)}`"


@dataclass(frozen=True)
class FieldRenamed(_Lossless):
    """A field with another name: `FieldRenamed("amount", was="sum")`."""

    field: str
    was: str

    @property
    def new(self) -> tuple[str, ...]:
        return (self.field,)

    @property
    def old(self) -> tuple[str, ...]:
        return (self.was,)

    def lift(self, data: Data) -> Data:
        return {self.field if key == self.was else key: value for key, value in data.items()}

    def lower(self, data: Data) -> Data:
        return {self.was if key == self.field else key: value for key, value in data.items()}

    def __str__(self) -> str:
        return f"`{self.was}` is called `{self.field}`"


@dataclass(frozen=True)
class FieldConverted(_Lossless):
    """A field whose value means something else: `up` makes the newer value, `down` the older."""

    field: str
    up: Callable[[Any], Any]
    down: Callable[[Any], Any]

    @property
    def new(self) -> tuple[str, ...]:
        return (self.field,)

    @property
    def old(self) -> tuple[str, ...]:
        return (self.field,)

    def lift(self, data: Data) -> Data:
        return self._with(data, self.up)

    def lower(self, data: Data) -> Data:
        return self._with(data, self.down)

    def _with(self, data: Data, convert: Callable[[Any], Any]) -> Data:
        return {**data, self.field: convert(data[self.field])} if self.field in data else data

    def __str__(self) -> str:
        return f"`{self.field}` means something else: {_said(self.up)}"


@dataclass(frozen=True)
class FieldsConverted(_Lossless):
    """Fields that take the place of others, such as one `price` for `amount` and `currency`.

    `up` gets the older fields by name and answers the newer ones, `down` the reverse.
    """

    was: tuple[str, ...]
    fields: tuple[str, ...]
    up: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    down: Callable[[Mapping[str, Any]], Mapping[str, Any]]

    @property
    def new(self) -> tuple[str, ...]:
        return self.fields

    @property
    def old(self) -> tuple[str, ...]:
        return self.was

    def lift(self, data: Data) -> Data:
        return _exchanged(data, self.was, self.up)

    def lower(self, data: Data) -> Data:
        return _exchanged(data, self.fields, self.down)

    def __str__(self) -> str:
        return f"{_listed(self.fields)} for {_listed(self.was)}: {_said(self.up)}"


@dataclass(frozen=True)
class FieldRemoved(_Lossless):
    """A field that newer versions do not have. `lowered_as` is the JSON value that readers of the
    older version get. What old events have in it is lost on the way up, which is what removing is.

    Nothing says any more whether a text of it is about a person: with `personal` as it is, a tenant
    gets `lowered_as` of an old event, too. False: it may have what was stored.
    """

    field: str
    lowered_as: Any
    personal: bool = True

    @property
    def new(self) -> tuple[str, ...]:
        return ()

    @property
    def old(self) -> tuple[str, ...]:
        return (self.field,)

    def lift(self, data: Data) -> Data:
        return {key: value for key, value in data.items() if key != self.field}

    def lower(self, data: Data) -> Data:
        return {**data, self.field: self.lowered_as}

    def __str__(self) -> str:
        return f"`{self.field}` is gone; older readers get `{_json(self.lowered_as)}`"


FieldChange: TypeAlias = FieldAdded | FieldRenamed | FieldConverted | FieldsConverted | FieldRemoved


def _exchanged(
    data: Data, gone: tuple[str, ...], convert: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> Data:
    kept = {key: value for key, value in data.items() if key not in gone}
    return {**kept, **convert({key: data[key] for key in gone if key in data})}


def _json(value: Any) -> str:
    return json.dumps(value)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _said(function: Callable[..., Any]) -> str:
    """The first line of its docstring, or its name."""
    text = (function.__doc__ or "").strip().partition("\n")[0]
    return text.rstrip(".") or f"`{getattr(function, '__name__', type(function).__name__)}`"
