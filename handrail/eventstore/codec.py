"""Messages by name: a registered name and a schema version stand for exactly one class."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import orjson
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, SchemaSerializer, SchemaValidator

from handrail.bounds import LARGEST_INTEGER, is_storable
from handrail.evolution.changes import Change
from handrail.evolution.forms import Data, Form
from handrail.evolution.levels import WriteLevels
from handrail.evolution.lineages import Lineages
from handrail.evolution.writing import Lowering, lowering_at
from handrail.tenant_word import STORED_WORD, TENANT_WORD, key_of, tenant_fields

_SUSPECT: Final = re.compile(rb"\\u0000|[0-9]{19}")
"""Most messages hold neither, and need no second look."""


class UnknownMessage(LookupError):
    """No class is registered under this name and schema version: deploy the code that knows it."""


class SeveralMessages(ValueError):
    """What was stored as one event is several since it was split: read it with `decode_all`."""


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


@dataclass
class _Lowering:
    """What follows from the rows of the write levels that were last looked at."""

    rows: Mapping[str, int] | None = None
    now: Lowering | None = None


@dataclass(frozen=True)
class Codec:
    """Encodes messages in the form that the write levels allow, and decodes all forms there have
    been.

    `changes` are what became of messages since they were first stored. `tenant` is the App's word
    for its tenant: fields that hold one (`StoredTenant`) are written under it, and read under that
    of earlier times, too.
    """

    classes: Mapping[str, type]
    changes: Sequence[Change] = ()
    tenant: str = TENANT_WORD
    levels: WriteLevels = field(default_factory=WriteLevels)
    """What may be written; a background task of the process refreshes it."""
    _adapters: dict[type, TypeAdapter[Any]] = field(default_factory=dict, init=False, repr=False)
    _lowering: _Lowering = field(default_factory=_Lowering, init=False, repr=False)

    @classmethod
    def of(
        cls, classes: Iterable[type], changes: Sequence[Change] = (), *, tenant: str = TENANT_WORD
    ) -> Codec:
        """Register each class under its own name.

        Raises ValueError when two classes share a name.
        """
        named: dict[str, type] = {}
        for one in classes:
            if named.setdefault(one.__name__, one) is not one:
                raise ValueError(f"{one.__name__} is registered twice")
        return cls(named, tuple(changes), tenant)

    @cached_property
    def lineages(self) -> Lineages:
        """The forms of each message, and the ways between them."""
        return Lineages(self.changes, frozenset(self.classes))

    def knows(self, cls: type) -> bool:
        return self.classes.get(cls.__name__) is cls

    def version(self, name: str) -> int:
        """The newest version of a class."""
        return self.lineages.newest.get(name, 1)

    def forms(self, name: str) -> Sequence[Form]:
        """All forms that a class has ever been stored in, oldest first, the newest last."""
        return self.lineages.forms(name) or (Form(name),)

    def stored_names(self, name: str) -> frozenset[str]:
        """All names under which a class has ever been stored."""
        return self.lineages.stored_names.get(name) or frozenset((name,))

    def encode(self, message: object) -> Encoded:
        """One message, in the form that may be written.

        Raises UnknownMessage for an object of an unregistered class, Unstorable, and
        CannotBeLowered where older processes could not read it and it has no older form.
        """
        newest = self._newest(message)
        lowering = self._lowering_now()
        if lowering is None or newest.type not in lowering.names:
            return newest
        [encoded] = _lowered(lowering, [newest])
        return encoded

    def encode_all(self, messages: Sequence[object]) -> Sequence[Encoded]:
        """Messages of one append or payload in the forms that may be written: as many as they are,
        or fewer, while parts of an event that is split are still written as that event.

        Raises what `encode` raises.
        """
        lowering = self._lowering_now()
        if lowering is None or lowering.names.isdisjoint(type(one).__name__ for one in messages):
            return [self._newest(one) for one in messages]
        return _lowered(lowering, [self._newest(one) for one in messages])

    def are_lowered(self, messages: Sequence[object], encoded: Sequence[Encoded]) -> bool:
        """Whether some of the messages were encoded in an older form."""
        return len(messages) != len(encoded) or any(
            one.schema != self.lineages.newest[type(message).__name__]
            or one.type != type(message).__name__
            for message, one in zip(messages, encoded, strict=True)
        )

    def decode(self, name: str, schema: int, data: dict[str, Any]) -> Any:
        """The one message that was stored.

        Raises UnknownMessage for an unregistered name or a version newer than this code's, and
        SeveralMessages for an event that was split.

        Fields this code does not know are passed over, so that an old reader can follow a new
        writer that only added some.
        """
        messages = self.decode_all(name, schema, data)
        if len(messages) != 1:
            raise SeveralMessages(f"{name} v{schema} is {len(messages)} events")
        return messages[0]

    def decode_all(self, name: str, schema: int, data: dict[str, Any]) -> Sequence[Any]:
        """What was stored as one: a message, or the parts of an event that was split, in the order
        in which they are applied. Raises UnknownMessage.
        """
        newest = self.lineages.newest.get(name)
        if schema == newest:
            return (self.adapter(self.classes[name]).validate_python(data),)
        form = Form(name, schema)
        if not self.lineages.is_known(form):
            raise UnknownMessage(f"{name} v{schema}")
        return tuple(
            self.adapter(self.classes[one.name]).validate_python(lifted)
            for one, lifted in self.lineages.lift(form, data)
        )

    def is_split(self, name: str, schema: int) -> bool:
        """Whether what was stored under this name and version is several events."""
        return self.lineages.is_split(Form(name, schema))

    def lift(self, form: Form, data: Data) -> Sequence[tuple[Form, Data]]:
        """JSON of any form in the newest forms. Raises UnknownMessage."""
        if not self.lineages.is_known(form):
            raise UnknownMessage(str(form))
        return self.lineages.lift(form, data)

    def lower(self, form: Form, data: Data, to: Form) -> Data:
        """JSON of a newer form as JSON of an older form of the same message.

        Raises CannotBeLowered where the newer one does not follow from it alone, or declares no way
        down.
        """
        return self.lineages.lower(form, data, to)

    def _newest(self, message: object) -> Encoded:
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

    def _lowering_now(self) -> Lowering | None:
        rows, known = self.levels.rows, self._lowering
        if rows is not known.rows:
            known.now, known.rows = lowering_at(self.lineages, rows), rows
        return known.now

    def adapter(self, cls: type) -> TypeAdapter[Any]:
        """Reads and writes a class as it is stored, writing with `by_alias=True`."""
        if (adapter := self._adapters.get(cls)) is None:
            adapter = self._adapters[cls] = _adapter(cls, self.tenant)
        return adapter

    def key_of(self, cls: type, field: str) -> str:
        """The key of a field in the JSON of its class."""
        return key_of(cls, field, self.tenant)


def _lowered(lowering: Lowering, newest: Sequence[Encoded]) -> Sequence[Encoded]:
    pieces = [(Form(one.type, one.schema), orjson.loads(one.data)) for one in newest]
    encoded = []
    for form, data in lowering.lowered(pieces):
        try:
            encoded.append(Encoded(form.name, form.version, orjson.dumps(data)))
        except orjson.JSONEncodeError as error:
            raise Unstorable(f"{form}: {error}") from None
    return encoded


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
