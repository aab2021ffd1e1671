"""What the tables of all read models share, and the one that keeps house for them."""

from __future__ import annotations

from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql import quoted_name

housekeeping = MetaData()

# Which form each read model has that is there, the one in use and the one that is being built.
forms = Table(
    "read_models",
    housekeeping,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
)

_TYPES: Final[dict[Any, Any]] = {
    str: Text(),
    int: BigInteger(),
    bool: Boolean(),
    datetime: DateTime(timezone=True),
}


def read_model(name: str, *items: SchemaItem) -> Table:
    """Room on every page: most updates change no indexed column, and then stay on their page."""
    return Table(name, MetaData(), *items, postgresql_with={"fillfactor": 70})


def index(table: str, *columns: str) -> Index:
    """An index of a read model's table, named after its columns."""
    return Index(f"{table}_{'_'.join(columns)}_idx", *columns)


def build(connection: Connection, table: Table, suffix: str) -> None:
    """The table and its indexes, with the suffix behind every name."""
    copy = table.to_metadata(MetaData(), name=table.name + suffix)
    for one in copy.indexes:
        one.name = quoted_name(f"{one.name}{suffix}", quote=None)
    copy.create(connection)


def exchange(connection: Connection, table: Table, suffix: str) -> None:
    """Put the table with the suffix in the place of the one without."""
    quote = connection.dialect.identifier_preparer.quote
    drop(connection, table.name)
    new = table.name + suffix
    indexes = connection.execute(
        text("SELECT indexname FROM pg_indexes WHERE tablename = :name AND schemaname = 'public'"),
        {"name": new},
    )
    for name in indexes.scalars().all():
        plain = name.replace(suffix, "")
        connection.exec_driver_sql(f"ALTER INDEX {quote(name)} RENAME TO {quote(plain)}")
    connection.exec_driver_sql(f"ALTER TABLE {quote(new)} RENAME TO {quote(table.name)}")


def drop(connection: Connection, name: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote(name)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {quoted}")


def columns_of(row: type) -> list[Column[Any]]:
    """The columns of a dataclass: its first field is the key, `X | None` may be null.

    Raises TypeError for a field that is not text, a number, a truth value, or a time.
    """
    hints = get_type_hints(row)
    return [_column(row, name, hints[name], key=at == 0) for at, name in enumerate(hints)]


def _column(row: type, name: str, hint: Any, *, key: bool) -> Column[Any]:
    kinds = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    [kind, *others] = [one for one in kinds if one is not NoneType]
    if others or kind not in _TYPES:
        raise TypeError(f"{row.__name__}.{name}: write the column of a field like this yourself")
    return Column(name, _TYPES[kind], primary_key=key, nullable=NoneType in kinds)
