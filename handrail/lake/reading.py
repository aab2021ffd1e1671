"""The lake as DuckDB sees it: the view `events`, and a view of every kind of event.

DuckDB reads the Parquet files that the newest version of the table names, by itself: so it opens
only the files of the days and contexts a query asks for, only the columns, and of a file only the
parts that may have such rows. Its own extension for Delta has to be downloaded, and rows handed
over as Arrow would all have been read before the first was asked for.
"""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, NewType, Union, get_args, get_origin

import duckdb
import orjson
from arro3.core import Array, DataType, Table
from deltalake import DeltaTable

from handrail.currencies import EXCEPTIONS, MOST
from handrail.eventstore.codec import Codec
from handrail.kernel import Event, Refusal, context_of
from handrail.lake.columns import columns_of
from handrail.lake.plan import Views, view_name

Connection = duckdb.DuckDBPyConnection

_SEEN: Final = '"position", stream, version, recorded_at'
"""The columns of `events` that every other view has too, before the fields of its event."""

_PLAIN: Final[Mapping[Any, str]] = {
    str: "VARCHAR",
    int: "BIGINT",
    bool: "BOOLEAN",
    date: "DATE",
    datetime: "TIMESTAMPTZ",
}

_CONFIG: Final[dict[str, str | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "memory_limit": "2GB",
    "threads": min(os.cpu_count() or 1, 4),
    "max_temp_directory_size": "10GB",
}


class NoLake(Exception):
    """Nothing was exported to this folder."""


@contextmanager
def open_lake(folder: Path, views: Views, *, as_of: datetime | None = None) -> Iterator[Connection]:
    """One version of the lake, to be read only. With `as_of`, as it would have been then.

    DuckDB can reach the data files of that version, and no other file: not the log of the table
    either. Memory, threads and what goes to disk meanwhile are bounded. Ask it through
    `questions.ask`, which refuses what would write.

    Raises NoLake.
    """
    folder = folder.resolve()
    if not DeltaTable.is_deltatable(folder / "events"):
        raise NoLake(f"there is no lake in {folder}: `handrail lake export --once` makes one")
    table = DeltaTable(folder / "events")
    with (
        TemporaryDirectory(prefix="handrail-lake-") as spilled,
        duckdb.connect(config={**_CONFIG, "temp_directory": spilled}) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET parquet_metadata_cache = true")
        connection.execute("SET VARIABLE as_of = coalesce(?, now())", [as_of])
        _macro_of_major_units(connection)
        events, codec = views.events, views.codec
        _view_of_all(connection, table, codec.tenant)
        for event in events:
            if len(codec.forms(event.__name__)) > 1:
                _lift(connection, event, codec)
        # The files are looked at whenever a view is made from them, so the other views are made
        # from one of the same form that has none.
        _view_of_nothing(connection, table, codec.tenant)
        for event in events:
            _view_of_one(connection, event, codec)
        _view_of_refusals(connection, events, codec)
        for name, sql in views.further.items():
            connection.execute(f"CREATE VIEW {_identifier(name)} AS {sql}")
        _view_of_all(connection, table, codec.tenant)
        files = ", ".join(map(_quoted, table.file_uris()))
        connection.execute(f"SET allowed_paths = [{files}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def _macro_of_major_units(connection: Connection) -> None:
    """`major_units(due, currency)` is an amount as people write it, with its currency's places."""
    exceptions = "".join(
        f" WHEN {_quoted(currency)} THEN {10**places}" for currency, places in EXCEPTIONS.items()
    )
    connection.execute(
        "CREATE MACRO major_units(minor, currency) AS"
        f" minor / CASE currency{exceptions} ELSE {10**MOST} END"
    )


def _view_of_all(connection: Connection, table: DeltaTable, tenant: str) -> None:
    files = ", ".join(map(_quoted, sorted(table.file_uris())))
    if not files:
        _view_of_nothing(connection, table, tenant)
        return
    there = {field.name for field in table.schema().fields}
    ours = {one.name: one.sql for one in columns_of(tenant)}
    columns = [
        f'"{name}"' if name in there else f'NULL::{type_} AS "{name}"'
        for name, type_ in ours.items()
    ]
    columns += [_identifier(name) for name in sorted(there - ours.keys())]
    connection.execute(
        f"CREATE OR REPLACE VIEW events AS SELECT {', '.join(columns)} FROM read_parquet([{files}],"
        " union_by_name = true, hive_partitioning = true,"
        " hive_types = {'day': DATE, 'context': VARCHAR})"
        " WHERE recorded_at <= getvariable('as_of')"
    )


def _view_of_nothing(connection: Connection, table: DeltaTable, tenant: str) -> None:
    ours = {one.name: one.sql for one in columns_of(tenant)}
    others = sorted({field.name for field in table.schema().fields} - ours.keys())
    columns = [f'NULL::{type_} AS "{name}"' for name, type_ in ours.items()]
    columns += [f"NULL::VARCHAR AS {_identifier(name)}" for name in others]
    connection.execute(f"CREATE OR REPLACE VIEW events AS SELECT {', '.join(columns)} WHERE false")


def _view_of_one(connection: Connection, event: type[Event], codec: Codec) -> None:
    """A column for each field."""
    rows = _rows(event, [event.__name__])
    if len(codec.forms(event.__name__)) > 1:
        lifted = f"{view_name(event.__name__)}_lifted"
        rows = f"{rows} AND {_is_newest(event, codec)} UNION ALL FROM {lifted}"
    form = _quoted(orjson.dumps(_form(event, codec)).decode())
    connection.execute(
        f"CREATE VIEW {view_name(event.__name__)} AS SELECT {_SEEN}, fields.* FROM"
        f" (SELECT {_SEEN}, json_transform(data, {form}) AS fields FROM ({rows}))"
    )


def _rows(event: type[Event], names: Iterable[str]) -> str:
    """Those under these names; by the context, files of others are not even opened."""
    types = ", ".join(map(_quoted, sorted(names)))
    of_it = f"context = {_quoted(context_of(event))} AND type IN ({types})"
    return f"SELECT {_SEEN}, data FROM events WHERE {of_it}"


def _is_newest(event: type[Event], codec: Codec) -> str:
    name = event.__name__
    return f"(type = {_quoted(name)} AND schema >= {codec.version(name)})"


def _lift(connection: Connection, event: type[Event], codec: Codec) -> None:
    """Make a table of the events that are stored in older forms, as they are in the newest one:
    DuckDB knows no upcaster.
    """
    name, adapter = event.__name__, codec.adapter(event)
    rows = _rows(event, codec.stored_names(name))
    old = f"{rows} AND NOT {_is_newest(event, codec)}"
    found = connection.execute(old.replace("data", "type, schema, data", 1)).fetchall()
    lifted = [
        (position, adapter.dump_json(part, by_alias=True).decode())
        for position, *_, type_, schema, data in found
        for part in codec.decode_all(type_, schema, orjson.loads(data))
        if type(part) is event
    ]
    table = Table.from_pydict(
        {
            "position": Array([position for position, _ in lifted], DataType.int64()),
            "data": Array([data for _, data in lifted], DataType.utf8()),
        }
    )
    connection.register("lifted", table)
    connection.execute(
        f"CREATE TABLE {view_name(name)}_lifted AS"
        f" SELECT old.* REPLACE (lifted.data AS data) FROM ({old}) AS old"
        " JOIN lifted USING (position)"
    )
    connection.unregister("lifted")


def _view_of_refusals(connection: Connection, events: Sequence[type[Event]], codec: Codec) -> None:
    """All refusals under the names that they have now, whatever form is stored."""
    refusals = [one for one in events if issubclass(one, Refusal)]
    changed = [one for one in refusals if len(codec.forms(one.__name__)) > 1]
    names = ", ".join(_quoted(one.__name__) for one in refusals if one not in changed) or "NULL"
    newest = [f"type IN ({names})", *(_is_newest(one, codec) for one in changed)]
    before = "position, recorded_at, stream, context"
    after = f"saga, step, {_identifier(codec.tenant)}"
    columns = f"{before}, type, {after}"
    older = "".join(
        f" UNION ALL SELECT {before}, {_quoted(one.__name__)}, {after}, lifted.data"
        f" FROM events JOIN (SELECT position, data FROM {view_name(one.__name__)}_lifted) AS lifted"
        " USING (position)"
        for one in changed
    )
    connection.execute(
        f"CREATE VIEW refusals AS SELECT {columns}, data->>'$.code' AS code,"
        " lower(regexp_replace(type, '([a-z])([A-Z])', '\\1 \\2', 'g'))"
        " || coalesce(': ' || (data->>'$.code'), '') AS reason"
        f" FROM (SELECT {columns}, data FROM events WHERE {' OR '.join(newest)}{older})"
    )


def _form(annotation: Any, codec: Codec) -> Any:
    """What DuckDB makes of a value: a type, or those of its fields or members."""
    if isinstance(annotation, NewType):
        return _form(annotation.__supertype__, codec)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Literal:
        return "VARCHAR"
    if origin in {types.UnionType, Union}:
        return _form(arguments[0], codec)
    if origin is tuple:
        return [_form(arguments[0], codec)]
    hints = typing.get_type_hints(annotation)
    return {
        codec.key_of(annotation, one.name): _form(hints[one.name], codec)
        for one in dataclasses.fields(annotation)
    }


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
