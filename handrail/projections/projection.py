"""What a projection is: a question, and how events answer it.

A row is folded from all streams of its id: `trip-42`, `ticket-42`, `saga-42` make the row `42`.
Two laws make that safe, and every projection has to keep them:

- Streams with the same id share a shard, and a shard of a projection has one owner at a time: so
  each row has exactly one writer.
- Streams of one id that run side by side change different figures of the row, so the row does not
  depend on which of them was read first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Generic, TypeVar

from sqlalchemy import Table

from handrail.access.row_owner import FOR_OPERATORS, RowOwner
from handrail.eventstore.store import Recorded
from handrail.kernel import Event
from handrail.projections.earlier_keys import earlier_keys_table
from handrail.projections.totals import Adds, totals_table

RowT = TypeVar("RowT")


class OutOfPlace(Exception):
    """An event came for a row that something else has to begin."""


@dataclass(frozen=True, kw_only=True)
class Happened:
    """A stored event as `evolve` reads it."""

    event: Event
    id: str
    position: int
    version: int
    recorded_at: datetime
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, recorded: Recorded, event: Event) -> Happened:
        return cls(
            event=event,
            id=id_of(recorded.stream),
            position=recorded.position,
            version=recorded.version,
            recorded_at=recorded.recorded_at.astimezone(UTC),
            metadata=recorded.metadata,
        )


@dataclass(frozen=True, kw_only=True)
class Projection(Generic[RowT]):
    """`evolve` is pure; None is a row that is not there (yet).

    Raise `version` when `evolve` or the table changes: the read model is then built anew beside the
    one in use. The fields of `row` are the columns of `table`, by their keys and in any order; the
    first is the primary key.
    Where `adds` says what a row adds to which figure, the sums are kept, too, in `totals`.
    """

    name: str
    version: int
    row: type[RowT]
    table: Table
    categories: tuple[str, ...]
    handles: tuple[type[Event], ...]
    evolve: Callable[[RowT | None, Happened], RowT | None]
    adds: Adds[RowT] | None = None
    begins: str | None = None
    """The field that lists are sorted by, if it can change in a row; events of one stream set it.
    Its earlier values are kept (`earlier_keys.py`), so that lists as of a moment have the rows in
    the order of then.
    """
    owner: RowOwner | None = None
    """Whose a row is, by its fields: principals see theirs. None: all rows are seen by each."""
    earlier: frozenset[str] = frozenset()
    """Earlier names of the events it handles; the App fills them in from its changes."""

    def __post_init__(self) -> None:
        if self.begins is not None and self.begins not in self.table.columns:
            raise TypeError(f"{self.name}: `begins` names no column of its table")
        if self.owner and set(self.owner.columns()) - set(self.table.columns.keys()):
            raise TypeError(f"{self.name}: the owner of a row is named by a column of its table")
        if set(self.columns) != set(self.table.columns.keys()):
            raise TypeError(f"{self.name}: the row and the table have different columns")
        if [column.name for column in self.table.primary_key] != [self.key]:
            raise TypeError(f"{self.name}: the first field of the row must be the primary key")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(field.name for field in fields(self.row))  # type: ignore[arg-type]  # a dataclass

    def name_of(self, field: str) -> str:
        """The name of the column of a field: another one where the column has the field as key."""
        return str(self.table.columns[field].name)

    def by_field(self, stored: Mapping[str, Any]) -> Mapping[str, Any]:
        """A row by the names of its fields, of one by those of its columns."""
        fields = {str(one.name): str(one.key) for one in self.table.columns}
        return {fields.get(name, name): value for name, value in stored.items()}

    @cached_property
    def totals(self) -> Table:
        return totals_table(self.table.name)

    @property
    def tables(self) -> Sequence[Table]:
        sums = [] if self.adds is None else [self.totals]
        earlier = [] if self.begins is None else [self.earlier_keys]
        return [self.table, *sums, *earlier]

    @cached_property
    def earlier_keys(self) -> Table:
        """Of a projection that has `begins`."""
        return earlier_keys_table(self.table, self.begins_with)

    @cached_property
    def begins_with(self) -> tuple[str, ...]:
        """The fields of its earlier keys; none where it has no such table."""
        if self.begins is None:
            return ()
        return (self.key, self.begins, *(self.owner.columns() if self.owner else ()))

    @property
    def owners(self) -> Mapping[str, RowOwner]:
        """By table, and there by the names of its columns: sums are over the rows of all owners."""
        if self.owner is None:
            return {}
        sums = {} if self.adds is None else {self.totals.name: FOR_OPERATORS}
        named = RowOwner(
            tenant=self.owner.tenant and self.name_of(self.owner.tenant),
            party=self.owner.party and self.name_of(self.owner.party),
        )
        earlier = {} if self.begins is None else {self.earlier_keys.name: named}
        return {self.table.name: named, **sums, **earlier}

    @property
    def key(self) -> str:
        return self.columns[0]

    @cached_property
    def types(self) -> frozenset[str]:
        """The names under which the events it handles are stored."""
        return frozenset(handle.__name__ for handle in self.handles) | self.earlier

    def handles_event(self, event: Event) -> bool:
        """Of the parts of an event that was split it may handle some."""
        return type(event) in self._classes

    @cached_property
    def _classes(self) -> frozenset[type[Event]]:
        return frozenset(self.handles)

    def streams_of(self, id_: str) -> list[str]:
        """The streams that a row is folded from."""
        return [f"{category}-{id_}" for category in self.categories]

    def reads(self, recorded: Recorded) -> bool:
        return recorded.type in self.types and category_of(recorded.stream) in self.categories


def category_of(stream: str) -> str:
    return stream.partition("-")[0]


def id_of(stream: str) -> str:
    return stream.partition("-")[2]


def begun(row: RowT | None, happened: Happened) -> RowT:
    """The row, where only another event can have begun it.

    Raises OutOfPlace where it is missing.
    """
    if row is None:
        raise OutOfPlace(f"{type(happened.event).__name__} came first for {happened.id}")
    return row
