"""The columns of a read model, from the dataclass of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest
from sqlalchemy import MetaData, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from handrail.projections.tables import columns_of


@dataclass(frozen=True)
class Row:
    id: str
    quantity: int
    done: bool
    note: str | None
    updated_at: datetime


@dataclass(frozen=True)
class Unclear:
    id: str
    names: list[str]


def test_each_field_is_a_column_and_the_first_is_the_key() -> None:
    table = Table("rows", MetaData(), *columns_of(Row))
    said = str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert " ".join(said.split()) == (
        "CREATE TABLE rows ( id TEXT NOT NULL, quantity BIGINT NOT NULL, done BOOLEAN NOT NULL,"
        " note TEXT, updated_at TIMESTAMP WITH TIME ZONE NOT NULL, PRIMARY KEY (id) )"
    )


def test_a_field_of_another_type_is_named() -> None:
    with pytest.raises(TypeError, match=r"Unclear\.names: write the column of a field like this"):
        columns_of(Unclear)
