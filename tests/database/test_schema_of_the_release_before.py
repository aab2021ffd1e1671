"""Statements of the release before run on this release's schema.

`the_release_before.txt` is what they may name: what `python -m tests.database.schema_lines URL`
says of a database that it migrated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.database.schema_lines import demanded, lines

WRITTEN: Final = (Path(__file__).parent / "the_release_before.txt").read_text().splitlines()
NAMED: Final = {line for line in WRITTEN if not line.startswith("demanded ")}
DEMANDED: Final = {line.removeprefix("demanded ") for line in WRITTEN} - NAMED
TABLES: Final = {line.split()[1].partition(".")[0] for line in NAMED if line.startswith("column ")}


def broken(connection: psycopg.Connection) -> list[str]:
    gone = [f"it names what is gone: {one}" for one in sorted(NAMED - lines(connection))]
    new = {
        column for column in demanded(connection) - DEMANDED if column.partition(".")[0] in TABLES
    }
    return gone + [f"its INSERTs leave out what has no default: {one}" for one in sorted(new)]


def test_the_schema_has_all_that_the_release_before_names(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert broken(connection) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE requests DROP COLUMN body", "gone: column requests.body jsonb"),
        ("ALTER TABLE events ALTER COLUMN schema TYPE integer", "gone: column events.schema smal"),
        ("DROP FUNCTION load_streams", "gone: function load_streams(text[],bigint[],text[])"),
        ("ALTER TABLE snapshots DROP CONSTRAINT snapshots_pkey", "gone: unique snapshots (stream)"),
        ("ALTER TABLE requests ADD COLUMN x text NOT NULL", "no default: requests.x"),
    ],
)
def test_what_would_break_the_release_before_is_named(
    database: str, change: str, said: str
) -> None:
    with psycopg.connect(database) as connection:
        before = broken(connection)
        connection.execute(change.encode())
        found = [one for one in broken(connection) if one not in before]
        connection.rollback()
    assert any(said in one for one in found), found
