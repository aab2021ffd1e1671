"""A read model in the database, the one in use or the one that is being built: its rows by SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final, Generic, LiteralString, TypeVar

import orjson
from psycopg import sql
from sqlalchemy import Column, Date, DateTime, Dialect
from sqlalchemy.dialects import postgresql

from handrail.projections.earlier_keys import earlier_keys_name
from handrail.projections.projection import Projection
from handrail.projections.totals import changes, totals_name

RowT = TypeVar("RowT")

NEXT: Final = "__next"
"""Behind the name of a projection: the read model that is being built, and its table."""


_LIFT: Final[Mapping[type, Callable[[str], Any]]] = {
    DateTime: datetime.fromisoformat,
    Date: date.fromisoformat,
}


_DIALECT: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]  # it has no types


class Unstorable(Exception):
    """A row that PostgreSQL cannot even be asked to keep."""


@dataclass(frozen=True)
class Change(Generic[RowT]):
    """Rows to insert or replace, by id; `before` are those of them that are there already."""

    rows: Mapping[str, RowT]
    before: Mapping[str, RowT]
    replaced: Sequence[RowT] = ()
    """Rows whose sort key is another one now."""


class ReadModel(Generic[RowT]):
    def __init__(self, projection: Projection[RowT], *, building: bool = False) -> None:
        suffix = NEXT if building else ""
        self.projection = projection
        self.name = projection.name + suffix
        self.table = projection.table.name + suffix
        self.totals = totals_name(projection.table.name) + suffix
        self.earlier_keys = earlier_keys_name(projection.table.name) + suffix

    def row(self, stored: dict[str, Any]) -> RowT:
        """A row as `select` gets it: JSON has no type for moments."""
        for name, lift in self._lifted:
            if stored[name] is not None:
                stored[name] = lift(stored[name])
        return self.projection.row(**stored)

    @cached_property
    def _lifted(self) -> Sequence[tuple[str, Callable[[str], Any]]]:
        columns = self.projection.table.columns
        return [
            (column.key, _LIFT[type(column.type)])
            for column in columns
            if type(column.type) in _LIFT
        ]

    @cached_property
    def select(self) -> sql.Composed:
        """The name and, as JSON, the rows with the ids that are its parameter."""
        return sql.SQL(
            "SELECT {name}, row_to_json(r) FROM"
            " (SELECT {columns} FROM {table} WHERE {key} = ANY (%s)) AS r"
        ).format(
            name=sql.Literal(self.name),
            columns=sql.SQL(", ").join(map(self._shown, self.projection.columns)),
            table=sql.Identifier(self.table),
            key=sql.Identifier(self.projection.key),
        )

    def _shown(self, field: str) -> sql.Composed:
        """The column of a field, under the name of the field."""
        name = self.projection.name_of(field)
        shown = sql.Identifier(name)
        return sql.Composed(
            [shown] if name == field else [shown, sql.SQL(" AS "), sql.Identifier(field)]
        )

    @cached_property
    def inserts(self) -> Sequence[sql.Composed]:
        """One statement for the rows, one for the totals and one for earlier sort keys where there
        are any; the parameter of each is as `parameters` makes it.
        """
        sums = [] if self.projection.adds is None else [self._add]
        earlier = [] if self.projection.begins is None else [self._keep_keys]
        return [self._upsert, *sums, *earlier]

    def parameters(self, change: Change[RowT]) -> Sequence[str]:
        """Raises Unstorable."""
        rows = packed(list(change.rows.values()))
        sums = [] if self.projection.adds is None else [self._amounts(change)]
        earlier = [] if self.projection.begins is None else [self._earlier(change)]
        return [rows, *sums, *earlier]

    def _earlier(self, change: Change[RowT]) -> str:
        return packed(
            [
                {
                    self.projection.name_of(one): getattr(row, one)
                    for one in self.projection.begins_with
                }
                for row in change.replaced
            ]
        )

    def _amounts(self, change: Change[RowT]) -> str:
        assert self.projection.adds is not None
        amounts = [
            {"figure": figure, "labels": labels, "shard": shard, "total": amount}
            for ((figure, labels), shard), amount in changes(
                self.projection.adds, change.before, change.rows
            ).items()
        ]
        return packed(amounts)

    @cached_property
    def _upsert(self) -> sql.Composed:
        names = [self.projection.name_of(one) for one in self.projection.columns]
        return sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {fields} FROM {rows}"
            " ON CONFLICT ({key}) DO UPDATE SET {changes}"
        ).format(
            table=sql.Identifier(self.table),
            columns=_names(names),
            fields=_names(self.projection.columns),
            rows=self._rows,
            key=sql.Identifier(self.projection.key),
            changes=sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names[1:]
            ),
        )

    @property
    def _rows(self) -> sql.Composed:
        """The rows of the parameter, whose members have the names of fields."""
        projection = self.projection
        if all(projection.name_of(one) == one for one in projection.columns):
            return sql.SQL("json_populate_recordset(NULL::{table}, %s::json)").format(
                table=sql.Identifier(self.table)
            )
        # Members that are named otherwise than their columns have their types said here.
        typed = (
            sql.SQL("{} {}").format(sql.Identifier(one.key), sql.SQL(_type_of(one)))
            for one in projection.table.columns
        )
        return sql.SQL("json_to_recordset(%s::json) AS r ({})").format(sql.SQL(", ").join(typed))

    @cached_property
    def _add(self) -> sql.Composed:
        return sql.SQL(
            "INSERT INTO {table} AS t (figure, labels, shard, total)"
            " SELECT figure, labels, shard, total"
            " FROM json_populate_recordset(NULL::{table}, %s::json)"
            " ON CONFLICT (figure, labels, shard) DO UPDATE SET total = t.total + excluded.total"
        ).format(table=sql.Identifier(self.totals))

    @cached_property
    def _keep_keys(self) -> sql.Composed:
        return sql.SQL(
            "INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s::json)"
            " ON CONFLICT DO NOTHING"
        ).format(table=sql.Identifier(self.earlier_keys))


def packed(rows: Any) -> str:
    try:
        return orjson.dumps(rows).decode()
    except TypeError as error:
        raise Unstorable(str(error)) from None


def read_models(projections: Sequence[Projection[Any]]) -> Mapping[str, ReadModel[Any]]:
    """By name: for each projection the one in use, and the one that may be being built."""
    models = [
        ReadModel(projection, building=building)
        for projection in projections
        for building in (False, True)
    ]
    return {model.name: model for model in models}


def _type_of(column: Column[Any]) -> LiteralString:
    """As in a list of columns: `BIGINT`."""
    return column.type.compile(_DIALECT)


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)
