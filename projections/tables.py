"""What the tables of all read models share, and the two tables that keep house for them."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, Table, Text
from sqlalchemy.schema import SchemaItem

read_models = MetaData()
housekeeping = MetaData()

# Which form each read model has that is there, the one in use and the one that is being built.
forms = Table(
    "read_models",
    housekeeping,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
)

# The projector processes that are alive, so that each knows its fair share. `serves` names what a
# process can work on: while versions are exchanged, old and new processes do not count each other.
projectors = Table(
    "projectors",
    housekeeping,
    Column("owner", Text, primary_key=True),
    Column("serves", Text, nullable=False),
    Column("alive_until", DateTime(timezone=True), nullable=False),
    postgresql_with={"fillfactor": 50},
)


def read_model(name: str, *items: SchemaItem) -> Table:
    """Room on every page: most updates change no indexed column, and then stay on their page."""
    return Table(name, read_models, *items, postgresql_with={"fillfactor": 70})


def index(table: str, *columns: str) -> Index:
    return Index(f"{table}_{'_'.join(columns)}_idx", *columns)
