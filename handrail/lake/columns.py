"""The columns of the lake's table `events`, and the events as rows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import orjson
from arro3.core import Array, DataType, Field, Schema, Table

from handrail.eventstore.store import Recorded
from handrail.messaging.envelope import id_of
from handrail.messaging.relay.routing import Routing
from handrail.tenant_word import tenant_in

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class Column:
    """`value` answers a number or a text; `plain` is what Arrow holds it as before the cast."""

    name: str
    plain: DataType
    type: DataType
    sql: str
    value: Callable[[Recorded, Routing], Any]

    def field(self) -> Field:
        return Field(self.name, self.type, nullable=True)

    def array(self, events: Sequence[Recorded], routing: Routing) -> Any:
        values = Array([self.value(one, routing) for one in events], self.plain)
        return values if self.plain == self.type else values.cast(self.type)


def _text(name: str, value: Callable[[Recorded, Routing], str | None]) -> Column:
    return Column(name, DataType.utf8(), DataType.utf8(), "VARCHAR", value)


def _number(name: str, value: Callable[[Recorded, Routing], int]) -> Column:
    return Column(name, DataType.int64(), DataType.int64(), "BIGINT", value)


def _known(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None


def _saga(one: Recorded, _: Routing) -> str | None:
    return _known(one.metadata, "saga") or _known(one.metadata, "correlation")


def _tenant(one: Recorded, routing: Routing) -> str | None:
    tenant = tenant_in(one.metadata, routing.tenant)
    return tenant if isinstance(tenant, str) and tenant else _known(one.data, routing.tenant)


def _day(one: Recorded, _: Routing) -> int:
    return (one.recorded_at.astimezone(UTC).date() - _FIRST_DAY).days


def _microseconds(one: Recorded, _: Routing) -> int:
    passed = one.recorded_at - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


_BEFORE: Final = (
    _number("position", lambda one, _: one.position),
    _text("id", lambda one, _: id_of(one.stream, one.version)),
    _text("stream", lambda one, _: one.stream),
    _number("version", lambda one, _: one.version),
    _text("type", lambda one, _: one.type),
    _number("schema", lambda one, _: one.schema),
    _text("context", lambda one, routing: routing.context_of(one.type)),
    Column("day", DataType.int32(), DataType.date32(), "DATE", _day),
    Column(
        "recorded_at",
        DataType.int64(),
        DataType.timestamp("us", tz="UTC"),
        "TIMESTAMPTZ",
        _microseconds,
    ),
    _text("saga", _saga),
    _text("step", lambda one, _: _known(one.metadata, "step")),
    _text("actor", lambda one, _: _known(one.metadata, "actor")),
)
_AFTER: Final = (
    _text("data", lambda one, _: orjson.dumps(one.data).decode()),
    _text("metadata", lambda one, _: orjson.dumps(one.metadata).decode()),
)
PARTITIONS: Final = ("day", "context")


def columns_of(tenant: str) -> Sequence[Column]:
    """Those of the lake of an App that calls its tenant so."""
    return (*_BEFORE, _text(tenant, _tenant), *_AFTER)


def schema(columns: Sequence[Column]) -> Schema:
    return Schema([one.field() for one in columns])


def as_table(
    events: Sequence[Recorded], routing: Routing, columns: Sequence[Column] | None = None
) -> Table:
    """Events of one type side by side, so that a reader of one type passes over the rest of a file.

    Raises UnknownMessage for an event whose context this code does not know.
    """
    columns = columns or columns_of(routing.tenant)
    events = sorted(events, key=lambda one: (one.type, one.position))
    return Table.from_pydict(
        {one.name: one.array(events, routing) for one in columns}, schema=schema(columns)
    )
