"""Every table has a stated retention, and what is to be deleted is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from handrail.eventstore import prune_tables
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.prune_tables import prune
from handrail.projections.install import install
from handrail.projections.read_model import NEXT
from runtime.app import HANDRAIL
from runtime.retention import PAGE, RETENTIONS, page

ROLE = "handrail_app"
HOUR = timedelta(hours=1)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with open_pool(database, role=ROLE, size=1) as one:
        yield one


async def _rows(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        cursor = await owner.execute(statement.encode(), values)
        return await cursor.fetchall() if cursor.description else []


async def _without_retention(url: str) -> set[str]:
    """The tables of a database that are no partition of another, and have no line."""
    found = await _rows(
        url,
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relnamespace = 'public'::regnamespace",
    )
    known = {table for one in RETENTIONS for table in one.tables}
    return {name.removesuffix(NEXT) for (name,) in found} - known


async def test_every_table_of_a_migrated_database_has_a_retention(
    database_with_read_models: str,
) -> None:
    assert await _without_retention(database_with_read_models) == set()


async def test_a_table_without_a_retention_is_found(database: str) -> None:
    install(database, ROLE, HANDRAIL.read_models)
    await _rows(database, "CREATE TABLE forgotten (at timestamptz)")
    assert await _without_retention(database) == {"forgotten"}


async def test_every_retention_is_of_a_table_that_there_is(database_with_read_models: str) -> None:
    found = await _rows(database_with_read_models, "SELECT relname FROM pg_class")
    tables = [table for one in RETENTIONS for table in one.tables]
    assert set(tables) <= {name for (name,) in found}
    assert len(tables) == len(set(tables)), "a table has one retention"


def test_what_is_kept_for_a_time_is_deleted_by_somebody() -> None:
    assert [one.tables for one in RETENTIONS if one.after is not None and not one.by] == []


def test_the_page_says_what_the_code_does() -> None:
    assert PAGE.read_text() == page(), "`make retention` brings it up to date"


OLD: dict[str, tuple[str, timedelta]] = {
    "saga_places": (
        "INSERT INTO saga_places (merchant, saga, taken_at) VALUES ('m', %s, now() - %s)",
        prune_tables.PLACES_KEPT,
    ),
    "webhooks": (
        """
        INSERT INTO webhooks (source, id, type, body, status, received_at)
        VALUES ('bank', %s, 'any', '', 'accepted', now() - %s)
        """,
        prune_tables.WEBHOOKS_KEPT,
    ),
    "row_snapshots": (
        """
        INSERT INTO row_snapshots (projection, id, version, position, versions, state, taken_at)
        VALUES ('p', %s, 1, 1, '{}', 'null', now() - %s)
        """,
        prune_tables.ROW_SNAPSHOTS_KEPT,
    ),
}


@pytest.mark.parametrize("table", OLD)
async def test_what_is_older_than_its_retention_is_deleted(
    database: str, pool: Pool, table: str
) -> None:
    statement, kept = OLD[table]
    for name, age in (("old", kept + HOUR), ("new", kept - HOUR)):
        await _rows(database, statement, name, age)

    async with pool.connection() as connection:
        gone = await prune(connection)

    assert {name: rows for name, rows in gone.items() if rows} == {table: 1}
    assert await _rows(database, f"SELECT count(*) FROM {table}") == [(1,)]


async def test_a_webhook_that_waits_is_kept(database: str, pool: Pool) -> None:
    statement, kept = OLD["webhooks"]
    waiting = statement.replace("accepted", "waiting")
    await _rows(database, waiting, "w", kept + HOUR)

    async with pool.connection() as connection:
        assert (await prune(connection))["webhooks"] == 0


async def test_a_batch_is_bounded_and_the_oldest_go_first(database: str, pool: Pool) -> None:
    await _rows(
        database,
        "INSERT INTO saga_places (merchant, saga, taken_at)"
        " SELECT 'm', 'saga-' || n, now() - %s - n * interval '1 minute'"
        " FROM generate_series(1, 10002) AS n",
        prune_tables.PLACES_KEPT,
    )

    async with pool.connection() as connection:
        assert (await prune(connection))["saga_places"] == 10_000

    left = await _rows(database, "SELECT saga FROM saga_places ORDER BY saga")
    assert [saga for (saga,) in left] == ["saga-1", "saga-2"]
