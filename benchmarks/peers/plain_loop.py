"""What one writes without a projector: select events, fold them, upsert each row that changes.

It folds with the same `evolve` and keeps the same tables, copies of ours with all their indexes and
totals. It does less: no rows are read, since it keeps all of them in memory; nothing is parked, and
nobody shares the work. What cannot be applied is passed over and counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads
from sqlalchemy.dialects.postgresql import JSONB

from handrail.eventstore.store import Recorded
from handrail.projections.fold import apply, read
from handrail.projections.projection import OutOfPlace, Projection
from handrail.projections.totals import changes
from runtime.app import HANDRAIL

COLUMNS = "position, stream, version, type, schema, data, metadata, recorded_at"
_ADD = (
    "INSERT INTO {table} AS t (figure, labels, shard, total) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (figure, labels, shard) DO UPDATE SET total = t.total + excluded.total"
)


def connect(url: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(url, prepare_threshold=1, options="-c timezone=UTC")
    set_json_loads(orjson.loads, connection)
    set_json_dumps(orjson.dumps, connection)
    return connection


class PlainLoop:
    """`statements` counts its upserts, and `passed_over` what it could not apply.

    The transaction is the caller's.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.statements = self.passed_over = 0
        self._connection = connection
        self._handling: dict[str, list[_Kept]] = defaultdict(list)
        for projection in HANDRAIL.read_models:
            kept = _Kept(projection)
            for table in projection.tables:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table.name}__loop"
                    f" (LIKE {table.name} INCLUDING ALL)"
                )
                connection.execute(f"TRUNCATE {table.name}__loop")
            for type_ in projection.types:
                self._handling[type_].append(kept)
        connection.commit()

    def handle(self, rows: Iterable[Sequence[Any]]) -> int:
        """How many there were."""
        count = 0
        with self._connection.cursor() as cursor:
            for count, row in enumerate(rows, start=1):  # noqa: B007  # the last one is wanted
                recorded = Recorded(*row)
                event = None
                for kept in self._handling.get(recorded.type, ()):
                    if kept.projection.reads(recorded):
                        event = event or read(recorded, HANDRAIL.codec)
                        try:
                            self.statements += kept.keep(cursor, event)
                        except OutOfPlace:
                            self.passed_over += 1
        return count


class _Kept:
    def __init__(self, projection: Projection[Any]) -> None:
        self.projection = projection
        self._rows: dict[str, Any] = {}
        table = sql.Identifier(f"{projection.table.name}__loop")
        names = [sql.Identifier(projection.name_of(one)) for one in projection.columns]
        self._upsert = (
            sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}")
            .format(
                table,
                sql.SQL(", ").join(names),
                sql.SQL(", ").join(sql.Placeholder() * len(names)),
                names[0],
                sql.SQL(", ").join(
                    sql.SQL("{0} = excluded.{0}").format(name) for name in names[1:]
                ),
            )
            .as_string()
        )
        totals = sql.Identifier(f"{projection.totals.name}__loop")
        self._add = sql.SQL(_ADD).format(table=totals).as_string()
        columns = projection.table.columns
        self._wrap = [
            Jsonb if isinstance(columns[name].type, JSONB) else None for name in projection.columns
        ]

    def keep(self, cursor: psycopg.Cursor[Any], event: Any) -> int:
        """How many statements that took."""
        before = self._rows.get(event.id)
        after = apply(self.projection, before, event)
        if after is before:
            return 0
        self._rows[event.id] = after
        values = (getattr(after, name) for name in self.projection.columns)
        wrapped = [
            value if wrap is None or value is None else wrap(value)
            for wrap, value in zip(self._wrap, values, strict=True)
        ]
        cursor.execute(self._upsert, wrapped)
        if self.projection.adds is None:
            return 1
        was = {} if before is None else {event.id: before}
        added = changes(self.projection.adds, was, {event.id: after})
        for ((figure, labels), shard), amount in added.items():
            cursor.execute(self._add, (figure, list(labels), shard, amount))
        return 1 + len(added)
