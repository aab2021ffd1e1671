"""Rows of a table as text: what `COPY … TO` writes, below a line with the names of the columns.

So a value is compared as PostgreSQL writes it, and a file is loaded as a restore loads it. The
columns are named in the file: a table of a later revision may have more, which take their defaults.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import psycopg

FOLDER: Final = Path(__file__).parents[1] / "fixtures" / "recorded"
STORE, READ_MODELS = FOLDER / "store", FOLDER / "read_models"
SUFFIX: Final = ".tsv.gz"
TABLES: Final = ("streams", "events", "outbox", "commands", "long_attempts", "snapshots")
"""Of the event store. Checkpoints, leases and epochs belong to the server that has them."""
NULL: Final = r"\N"
_ESCAPED: Final = re.compile(r"\\(.)")
_MEANT: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}

Row = Mapping[str, str]


def write(path: Path, content: str) -> None:
    """The same content makes the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.encode(), mtime=0))


def read(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def rows_in(content: str) -> Iterator[Row]:
    """The values are still escaped: `value` has what they mean."""
    header, *lines = content.removesuffix("\n").split("\n")
    columns = header.split("\t")
    for line in lines:
        yield dict(zip(columns, line.split("\t"), strict=True))


def value(text: str) -> str | None:
    if text == NULL:
        return None
    return _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), text)


def dumped(
    connection: psycopg.Connection, table: str, columns: Sequence[str], key: Sequence[str]
) -> str:
    """All rows in the order of their keys, moments in UTC."""
    connection.execute("SET TIME ZONE 'UTC'")
    query = (
        f"COPY (SELECT {_listed(columns)} FROM {table} ORDER BY {_listed(key)})"
        " TO STDOUT WITH (HEADER)"
    )
    with connection.cursor().copy(query.encode()) as copied:
        return b"".join(bytes(part) for part in copied).decode()


def load(connection: psycopg.Connection, table: str, content: str) -> None:
    columns = content.split("\n", 1)[0].split("\t")
    query = f"COPY {table} ({_listed(columns)}) FROM STDIN WITH (HEADER MATCH)"
    with connection.cursor().copy(query.encode()) as copying:
        copying.write(content)


def columns_of(connection: psycopg.Connection, table: str) -> Sequence[str]:
    found = connection.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
        (table,),
    )
    return [name for (name,) in found]


def key_of(connection: psycopg.Connection, table: str) -> Sequence[str]:
    """The columns of its primary key; all columns where it has none."""
    found = connection.execute(
        "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, nth)"
        " JOIN pg_attribute a ON a.attnum = k.number"
        " WHERE i.indrelid = %(table)s::regclass AND i.indisprimary"
        " AND a.attrelid = %(table)s::regclass ORDER BY k.nth",
        {"table": table},
    )
    return [name for (name,) in found] or columns_of(connection, table)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{one}"' for one in columns)
