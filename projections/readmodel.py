"""A read model in the database, the one in use or the one that is being built: its rows by SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

import orjson
from psycopg import sql

from eventstore.pool import Connection
from projections.projection import Projection
from projections.totals import changes, totals_name

RowT = TypeVar("RowT")

NEXT: Final = "__next"
"""Behind the name of a projection: the read model that is being built, and its table."""


class Unstorable(Exception):
    """A row that PostgreSQL cannot even be asked to keep."""


class ReadModel(Generic[RowT]):
    def __init__(self, projection: Projection[RowT], *, building: bool = False) -> None:
        suffix = NEXT if building else ""
        self.projection = projection
        self.name = projection.name + suffix
        self.table = projection.table.name + suffix
        self.totals = totals_name(projection.table.name) + suffix

    async def ask(self, connection: Connection, ids: Sequence[str]) -> Any:
        """The rows with these ids, as a cursor: `found` reads it."""
        return await connection.execute(self._select, (list(ids),))

    async def found(self, cursor: Any) -> dict[str, RowT]:
        names = self.projection.columns
        return {
            row[0]: self.projection.row(**dict(zip(names, row, strict=True)))
            for row in await cursor.fetchall()
        }

    async def keep(
        self, connection: Connection, rows: Mapping[str, RowT], before: Mapping[str, RowT]
    ) -> None:
        """Insert or replace rows, by id, and change the totals with them.

        `before` are those of them that are there already. Raises Unstorable.
        """
        await connection.execute(self._upsert, (_packed(list(rows.values())),))
        if self.projection.adds is None:
            return
        if changed := changes(self.projection.adds, before, rows):
            amounts = [
                {"figure": figure, "labels": labels, "shard": shard, "total": amount}
                for ((figure, labels), shard), amount in changed.items()
            ]
            await connection.execute(self._add, (_packed(amounts),))

    @cached_property
    def _select(self) -> sql.Composed:
        return sql.SQL("SELECT {} FROM {} WHERE {} = ANY (%s)").format(
            _names(self.projection.columns),
            sql.Identifier(self.table),
            sql.Identifier(self.projection.key),
        )

    @cached_property
    def _upsert(self) -> sql.Composed:
        # In the order of the keys: a worker that lost its lease may be writing the same rows.
        return sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {columns}"
            " FROM json_populate_recordset(NULL::{table}, %s::json)"
            " ORDER BY {key} ON CONFLICT ({key}) DO UPDATE SET {changes}"
        ).format(
            table=sql.Identifier(self.table),
            columns=_names(self.projection.columns),
            key=sql.Identifier(self.projection.key),
            changes=sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
                for name in self.projection.columns[1:]
            ),
        )

    @cached_property
    def _add(self) -> sql.Composed:
        return sql.SQL(
            "INSERT INTO {table} AS t (figure, labels, shard, total)"
            " SELECT figure, labels, shard, total"
            " FROM json_populate_recordset(NULL::{table}, %s::json)"
            " ORDER BY figure, labels, shard"
            " ON CONFLICT (figure, labels, shard) DO UPDATE SET total = t.total + excluded.total"
        ).format(table=sql.Identifier(self.totals))


def _packed(rows: Sequence[Any]) -> str:
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


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)
