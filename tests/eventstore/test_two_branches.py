"""Databases of the one line of migrations get the two branches, and keep their tables and rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, make_url

from consumers.tables import TABLES, metadata
from handrail.app import App
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.business_tables import BusinessTables, EventIds
from handrail.migrate import migrate
from handrail.migrations import not_reached, upgrade
from runtime.app import HANDRAIL
from tests.eventstore.old_line import old_line
from tests.eventstore.test_migrations import CATALOG, FUNCTION

ROLE = "handrail_app"
OWN = {table.name for table in metadata.sorted_tables}
OF_THE_SCHEMA = " WHERE relnamespace = 'public'::regnamespace"
RIGHTS = (
    "SELECT table_name, privilege_type FROM information_schema.table_privileges"
    f" WHERE grantee = '{ROLE}' ORDER BY 1, 2"
)


@dataclass(frozen=True)
class Scratch:
    url: str

    async def sql(self, statement: str) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            found = await connection.execute(statement.encode())
            return await found.fetchall() if found.description else []

    async def catalog(self) -> dict[str, list[tuple[Any, ...]]]:
        """Of every table that is no partition, with the functions and what the role may do."""
        partitions = {name for (name,) in await self.sql(_PARTITIONS)}
        of_the_schema = {name for (name,) in await self.sql(_TABLES)} - partitions
        found = {
            part: sorted((row for row in await self.sql(query) if row[0] in of_the_schema), key=str)
            for part, query in CATALOG.items()
        }
        rights = [row for row in await self.sql(RIGHTS) if row[0] in of_the_schema]
        return {**found, "functions": await self.sql(FUNCTION), "rights": rights}


_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
_PARTITIONS = f"{_TABLES} AND relispartition"


CHANGED_SINCE = {"webhooks_source_check"}
"""By revisions of the library that follow the old line."""


@pytest.fixture
async def scratch(postgres: EmbeddedPostgres) -> AsyncIterator[Scratch]:
    """An empty database."""
    name = f"branches_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name}".encode())
        yield Scratch(postgres.url_of(name))
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def fresh(database_with_read_models: str) -> Scratch:
    return Scratch(database_with_read_models)


def by_the_old_line(url: str, to: str, folder: Path) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        command.upgrade(old_line(connection, folder), to)
    engine.dispose()


async def old(scratch: Scratch, to: str, tmp_path: Path) -> None:
    await asyncio.to_thread(by_the_old_line, scratch.url, to, tmp_path / "line")


async def migrated(scratch: Scratch) -> None:
    await asyncio.to_thread(migrate, scratch.url, ROLE, app=HANDRAIL)


@pytest.mark.quick(1)
@pytest.mark.parametrize("revision", ["0005", "0006", "0007", "0008", "0011", "0012"])
async def test_a_database_of_the_old_line_becomes_what_a_fresh_one_is(
    scratch: Scratch, fresh: Scratch, tmp_path: Path, revision: str
) -> None:
    await old(scratch, revision, tmp_path)

    await migrated(scratch)

    expected = await fresh.catalog()
    for part, rows in (await scratch.catalog()).items():
        assert rows == expected[part], part
        assert rows, part


@pytest.mark.thorough
async def test_a_database_at_the_end_of_the_old_line_keeps_its_tables(
    scratch: Scratch, tmp_path: Path
) -> None:
    await old(scratch, "0012", tmp_path)
    before = await scratch.catalog()
    ids = await scratch.sql("SELECT relname, oid FROM pg_class" + OF_THE_SCHEMA)

    await migrated(scratch)

    after = await scratch.catalog()
    for part in CATALOG:
        kept = [row for row in before[part] if not any(name in row for name in CHANGED_SINCE)]
        assert [row for row in after[part] if row in kept] == kept, part
    assert set(await scratch.sql("SELECT relname, oid FROM pg_class")) >= set(ids)


async def test_what_the_end_of_the_old_line_filled_is_not_filled_again(
    scratch: Scratch, tmp_path: Path
) -> None:
    """The consumers went on since then: an old version would turn a list back."""
    await old(scratch, "0012", tmp_path)
    await scratch.sql("INSERT INTO packing_lists VALUES ('o1', 'to pack', 'b', now(), 7, 7)")
    await scratch.sql("INSERT INTO notification_orders VALUES ('o1', 'ann', 5)")
    await scratch.sql(
        "INSERT INTO checkpoints (projection, shard, since) VALUES ('consumer/finance', 0, '1:1:')"
    )

    await migrated(scratch)

    assert await scratch.sql("SELECT made_from, booked_from FROM packing_lists") == [(7, 7)]
    assert await scratch.sql("SELECT plan_from FROM notification_orders") == [(5,)]
    assert await scratch.sql("SELECT * FROM consumer_wants") == []


async def test_a_database_from_before_that_filling_gets_it(
    scratch: Scratch, tmp_path: Path
) -> None:
    await old(scratch, "0011", tmp_path)
    await scratch.sql("INSERT INTO ledger_lines VALUES ('e', 1, 'a', '', 1, 'EUR', '', now())")
    await scratch.sql(
        "INSERT INTO checkpoints (projection, shard, since) VALUES ('consumer/finance', 0, '1:1:')"
    )

    await migrated(scratch)

    assert await scratch.sql("SELECT count(*) FROM ledger_lines") == [(1,)]
    assert await scratch.sql("SELECT DISTINCT consumer FROM consumer_wants") == [("finance",)]


async def test_without_a_business_there_are_the_librarys_tables_alone(scratch: Scratch) -> None:
    await asyncio.to_thread(upgrade, scratch.url, ROLE)

    tables = {name for (name,) in await scratch.sql(_TABLES)}
    assert "events" in tables
    assert tables & OWN == set()
    assert not_reached(await versions(scratch), None) == ""


@pytest.mark.thorough
async def test_a_library_that_was_migrated_alone_gets_the_business_later(
    scratch: Scratch, fresh: Scratch
) -> None:
    await asyncio.to_thread(upgrade, scratch.url, ROLE)
    [head] = await versions(scratch)
    said = not_reached([head], TABLES)
    assert said == f"the database is at {head}, and this code needs {head}, shop_0002"

    await migrated(scratch)

    assert not_reached(await versions(scratch), TABLES) == ""
    assert (await scratch.catalog())["columns"] == (await fresh.catalog())["columns"]


async def test_a_version_that_no_branch_has_is_named() -> None:
    assert "at 0000, and" in not_reached(["0000"], TABLES)
    assert "at no version, and" in not_reached([], TABLES)


def test_what_a_newer_release_migrated_is_enough() -> None:
    library, business = not_reached([], None).rpartition(" ")[2], "shop_0002"
    assert not_reached(["9999", business], TABLES) == ""
    assert not_reached([library, "shop_9999"], TABLES) == ""
    assert "at 9999, and" in not_reached(["9999"], TABLES)
    assert "at other_9999" in not_reached(["other_9999", business], TABLES)


async def test_older_code_migrates_nothing_of_a_newer_schema(scratch: Scratch) -> None:
    await migrated(scratch)
    await scratch.sql("UPDATE alembic_version SET version_num = '9999' WHERE version_num ~ '^0'")
    await scratch.sql("DROP FUNCTION load_states")
    assert await asyncio.to_thread(upgrade, scratch.url, ROLE, own=TABLES) == []
    assert await scratch.sql("SELECT to_regproc('load_states')") == [(None,)]
    assert "9999" in await versions(scratch)


def test_tables_that_cannot_be_migrated_are_refused_where_they_are_declared(
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match=r"there is no folder .*absent with revisions"):
        BusinessTables(revisions=tmp_path / "absent", rights={})
    with pytest.raises(ValueError, match="the table seats has the right OWN: use DELETE, INSERT"):
        BusinessTables(revisions=tmp_path, rights={"seats": ("SELECT", "OWN")})


def test_a_column_with_ids_of_events_is_of_a_table_of_the_business(tmp_path: Path) -> None:
    seats = EventIds(found_in="seats", table="seats", column="event", says="a seat was kept for")
    kept = BusinessTables(revisions=tmp_path, rights={"seats": ("SELECT",)}, event_ids=[seats])
    assert list(kept.event_ids) == [seats]
    with pytest.raises(ValueError, match="the table seats holds ids of events, and has no rights"):
        BusinessTables(revisions=tmp_path, rights={}, event_ids=[seats])
    with pytest.raises(ValueError, match="is no name of a table or column"):
        EventIds(found_in="seats", table="seats; DROP TABLE seats", column="event", says="")


def test_an_app_may_have_no_tables_of_its_own() -> None:
    assert App(contexts=()).tables is None


async def versions(scratch: Scratch) -> list[str]:
    return [name for (name,) in await scratch.sql("SELECT version_num FROM alembic_version")]
