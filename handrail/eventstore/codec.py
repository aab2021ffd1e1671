"""Messages by name: a registered name and a schema version stand for exactly one class."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, SchemaSerializer, SchemaValidator

from handrail.bounds import LARGEST_INTEGER, is_storable
from handrail.tenant_word import STORED_WORD, TENANT_WORD, key_of, tenant_fields

_SUSPECT: Final = re.compile(rb"\\u0000|[0-9]{19}")
"""Most messages hold neither, and need no second look."""

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class UnknownMessage(LookupError):
    """No class is registered under this name and schema version: deploy the code that knows it."""


class Unstorable(ValueError):
    """A message holds a number of more than 64 bits, or a character that cannot be stored: it would
    not be read back as what it was, so send another value.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(f"{' '.join((type(self).__doc__ or '').split())} {detail}")


@dataclass(frozen=True)
class Encoded:
    type: str
    schema: int
    data: bytes
    """JSON"""


@dataclass(frozen=True)
class Codec:
    """Encodes the newest version of every message, and decodes all versions there have been.

    `upcasters` lift the JSON of version n to version n + 1: keyed by name and n. A class without
    any is at version 1. `tenant` is the App's word for its tenant: fields that hold one
    (`StoredTenant`) are written under it, and read under that of earlier times, too.
    """

    classes: Mapping[str, type]
    upcasters: Mapping[tuple[str, int], Upcaster] = field(default_factory=dict)
    tenant: str = TENANT_WORD
    _adapters: dict[type, TypeAdapter[Any]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(
        cls,
        classes: Iterable[type],
        upcasters: Mapping[tuple[str, int], Upcaster] | None = None,
        *,
        tenant: str = TENANT_WORD,
    ) -> Codec:
        """Register each class under its own name.

        Raises ValueError when two classes share a name.
        """
        named: dict[str, type] = {}
        for one in classes:
            if named.setdefault(one.__name__, one) is not one:
                raise ValueError(f"{one.__name__} is registered twice")
        return cls(named, upcasters or {}, tenant)

    def knows(self, cls: type) -> bool:
        return self.classes.get(cls.__name__) is cls

    def version(self, name: str) -> int:
        newest = 1
        while (name, newest) in self.upcasters:
            newest += 1
        return newest

    def reads(self, name: str, schema: int) -> bool:
        """Whether `decode` knows this name and version. What it does not know is of newer code."""
        return name in self.classes and schema <= self.version(name)

    def encode(self, message: object) -> Encoded:
        """Raises UnknownMessage for an object of an unregistered class, and Unstorable."""
        cls = type(message)
        if not self.knows(cls):
            raise UnknownMessage(f"{cls.__module__}.{cls.__name__}")
        try:
            data = self.adapter(cls).dump_json(message, by_alias=True)
        except PydanticSerializationError:
            raise Unstorable(cls.__name__) from None  # what it says would repeat the text
        if _SUSPECT.search(data):
            _check(json.loads(data), cls.__name__)
        return Encoded(cls.__name__, self.version(cls.__name__), data)

    def decode(self, name: str, schema: int, data: dict[str, Any]) -> Any:
        """Raises UnknownMessage for an unregistered name or a version newer than this code's.

        Fields this code does not know are passed over, so that an old reader can follow a new
        writer that only added some.
        """
        cls = self.classes.get(name)
        newest = self.version(name)
        if cls is None or schema > newest:
            raise UnknownMessage(f"{name} v{schema}")
        for version in range(schema, newest):
            data = self.upcasters[name, version](data)
        return self.adapter(cls).validate_python(data)

    def adapter(self, cls: type) -> TypeAdapter[Any]:
        """Reads and writes a class as it is stored, writing with `by_alias=True`."""
        if (adapter := self._adapters.get(cls)) is None:
            adapter = self._adapters[cls] = _adapter(cls, self.tenant)
        return adapter

    def key_of(self, cls: type, field: str) -> str:
        """The key of a field in the JSON of its class."""
        return key_of(cls, field, self.tenant)


def _adapter(cls: type, tenant: str) -> TypeAdapter[Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(cls)
    named = _named(adapter.core_schema, tenant)
    if named != adapter.core_schema:
        adapter.core_schema = named
        adapter.validator = SchemaValidator(named)
        adapter.serializer = SchemaSerializer(named)
    return adapter


def _named(schema: Any, tenant: str) -> Any:
    """The core schema, in which fields that hold the tenant have its word as their key."""
    match schema:
        case {"type": "dataclass", "cls": type() as cls} if dataclasses.is_dataclass(cls):
            inner = _named(schema["schema"], tenant)
            if held := tenant_fields(cls):
                fields = [
                    {**one, **_keys(one["name"], tenant)} if one["name"] in held else one
                    for one in inner["fields"]
                ]
                inner = {**inner, "fields": fields}
            return {**schema, "schema": inner}
        case dict():
            return {key: _named(value, tenant) for key, value in schema.items()}
        case list() | tuple():
            return type(schema)(_named(one, tenant) for one in schema)
        case _:
            return schema


def _keys(name: str, tenant: str) -> dict[str, Any]:
    known = dict.fromkeys((tenant, STORED_WORD, name))
    return {"validation_alias": [[one] for one in known], "serialization_alias": tenant}


def _check(value: Any, where: str) -> None:
    match value:
        case int() if not -LARGEST_INTEGER - 1 <= value <= LARGEST_INTEGER:
            raise Unstorable(where)
        case str() if not is_storable(value):
            raise Unstorable(where)
        case list():
            for number, one in enumerate(value):
                _check(one, f"{where}.{number}")
        case dict():
            for name, one in value.items():
                _check(name, where)
                _check(one, f"{where}.{name}")
        case _:
            pass
