"""What the tables of all read models share, and the one that keeps house for them."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Index, Integer, MetaData, Table, Text, text
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
