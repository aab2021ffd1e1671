"""A migrated database is what `tables.py` and `functions/` say, however it was migrated."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, make_url

from consumers import tables as shop
from handrail import migrations
from handrail.access import tables as access
from handrail.access.database_roles import DatabaseRoles
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore import level_tables
from handrail.eventstore.tables import metadata
from handrail.lake import tables as lake
from handrail.messaging import tables as messaging
from handrail.migrations import FUNCTIONS, upgrade
from handrail.notifications import tables as notifications
from handrail.projections import request_tables
from handrail.subject_keys import tables as privacy
from handrail.webhook_endpoints import tables as webhook_endpoints
from tests.eventstore.interleaving import DEADLINE, Lab

DECLARED = (
    metadata,
    level_tables.metadata,
    request_tables.metadata,
    access.metadata,
    messaging.metadata,
    notifications.metadata,
    lake.metadata,
    privacy.metadata,
    webhook_endpoints.metadata,
    shop.metadata,
)
TABLES = {table.name for one in DECLARED for table in one.sorted_tables}

CATALOG = {
    "tables": "SELECT relname, relkind, reloptions, pg_get_partkeydef(oid) FROM pg_class",
    "columns": "SELECT relname, attname, attnum, format_type(atttypid, atttypmod), attnotnull,"
    " attidentity, pg_get_expr(adbin, adrelid) FROM pg_class JOIN pg_attribute ON attrelid = oid"
    " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attnum > 0",
    "constraints": "SELECT relname, conname, pg_get_constraintdef(c.oid) FROM pg_class JOIN"
    " pg_constraint c ON conrelid = pg_class.oid",
    "indexes": "SELECT relname, pg_get_indexdef(indexrelid) FROM pg_class JOIN pg_index ON"
    " indrelid = oid",
}
ROLES = DatabaseRoles()
FUNCTION = (
    "SELECT pg_get_functiondef(oid) FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
)

SIGNATURE = (
    "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
)

Scratch = Callable[[str], Awaitable[str]]


@pytest.fixture
def lab(own_lab: Lab) -> Lab:
    return own_lab


@pytest.fixture
async def scratch(postgres: EmbeddedPostgres) -> AsyncIterator[Scratch]:
    """Makes empty databases."""
    async with (
        await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin,
        AsyncExitStack() as stack,
    ):

        async def create(name: str) -> str:
            await admin.execute(f"CREATE DATABASE {name}".encode())
            stack.push_async_callback(admin.execute, f"DROP DATABASE {name} WITH (FORCE)".encode())
            return postgres.url_of(name)

        yield create


async def _rows(url: str, query: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return sorted(await (await connection.execute(query.encode())).fetchall(), key=str)


async def _catalog(url: str, part: str) -> list[tuple[Any, ...]]:
    return [row for row in await _rows(url, CATALOG[part]) if row[0] in TABLES]


async def _upgrade(url: str, role: str = "handrail_app") -> None:
    await asyncio.wait_for(asyncio.to_thread(upgrade, url, role, own=shop.TABLES), DEADLINE)


async def _upgrade_in_a_process(url: str, role: str = "handrail_app") -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from handrail.migrations import *; from consumers.tables import TABLES;"
        f" upgrade({url!r}, {role!r}, own=TABLES)",
    )
    assert await asyncio.wait_for(process.wait(), 3 * DEADLINE) == 0


async def test_a_migrated_database_is_what_the_tables_say(database: str, scratch: Scratch) -> None:
    url = await scratch("created")
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    for one in DECLARED:
        await asyncio.to_thread(one.create_all, engine)
    engine.dispose()
    for part in CATALOG:
        assert await _catalog(database, part) == await _catalog(url, part), part
        assert await _catalog(database, part), part


async def test_there_is_no_table_that_the_tables_do_not_name(database: str) -> None:
    found = await _rows(
        database,
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm')"
        " AND NOT relispartition AND relnamespace = 'public'::regnamespace",
    )
    expected = TABLES | {"alembic_version", "notification_channels"}
    assert {name for (name,) in found} >= expected
    assert {name for (name,) in found} == expected


async def test_positions_are_taken_one_by_one(database: str) -> None:
    """A cache would give one connection a block of positions: no order within a stream."""
    sequences = "SELECT DISTINCT seqcache, seqincrement, seqcycle FROM pg_sequence"
    assert await _rows(database, sequences) == [(1, 1, False)]


async def test_every_function_is_as_its_file_says_and_there_are_no_others(lab: Lab) -> None:
    before = await lab.rows(FUNCTION)
    files = [file for file in FUNCTIONS.iterdir() if file.name.endswith(".sql")]
    async with lab.sql.transaction(force_rollback=True):
        for (signature,) in await lab.rows(SIGNATURE):
            await lab.sql.execute(f"DROP FUNCTION {signature} CASCADE".encode())
        await lab.sql.execute("SET LOCAL check_function_bodies = off")
        for file in files:
            await lab.sql.execute(file.read_text().encode())
        after = await lab.rows(FUNCTION)
    assert sorted(after) == sorted(before)
    assert sorted(map(_name, (definition for (definition,) in before))) == sorted(
        file.name.removesuffix(".sql").removesuffix("_by_timer") for file in files
    )


def _name(definition: str) -> str:
    return definition.partition("(")[0].rpartition(".")[2]


async def test_upgrading_again_changes_nothing(lab: Lab) -> None:
    await lab.appended("a-1", 3)
    before = [await lab.counts(), await lab.rows(FUNCTION)]
    before += [await _catalog(lab.url, part) for part in CATALOG]
    await _upgrade(lab.url)
    after = [await lab.counts(), await lab.rows(FUNCTION)]
    after += [await _catalog(lab.url, part) for part in CATALOG]
    assert after == before


async def test_upgrading_waits_for_no_writer(lab: Lab) -> None:
    """And so stops none: whoever waits for a table has everybody else wait behind."""
    writer = await lab.writer()
    await writer.append("a-1")
    await _upgrade(lab.url)


@pytest.mark.thorough
async def test_two_that_upgrade_at_once_both_find_it_done(database: str, scratch: Scratch) -> None:
    url = await scratch("at_once")
    await asyncio.gather(*(_upgrade_in_a_process(url) for _ in range(3)))
    for part in CATALOG:
        assert await _catalog(url, part) == await _catalog(database, part)


@pytest.mark.thorough
async def test_two_databases_upgraded_at_once_share_the_role(scratch: Scratch) -> None:
    one, other = await scratch("role_one"), await scratch("role_other")
    await asyncio.gather(*(_upgrade_in_a_process(url, "new_role") for url in (one, other)))
    for url in (one, other):
        granted = "SELECT has_table_privilege('new_role', 'events', 'SELECT')"
        assert await _rows(url, granted) == [(True,)]


@pytest.mark.thorough
async def test_projectors_that_were_alive_are_followers_afterwards(scratch: Scratch) -> None:
    url = await scratch("before_followers")
    await _upgrade(url)
    await asyncio.to_thread(_downgrade, url, "0003")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("INSERT INTO projectors VALUES ('one', 'orders@1', now())")
    before = await _rows(url, "SELECT * FROM projectors")

    await _upgrade(url)

    assert await _rows(url, "SELECT * FROM followers") == before
    assert await _rows(url, "SELECT to_regclass('projectors')") == [(None,)]


def _downgrade(url: str, to: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        command.downgrade(migrations.configured(connection, shop.TABLES), to)
    engine.dispose()


async def test_without_a_role_nothing_is_granted_but_to_logins(scratch: Scratch) -> None:
    url = await scratch("ungranted")
    await _upgrade(url, "")
    owner = "SELECT DISTINCT grantee FROM information_schema.table_privileges WHERE table_name ="
    names = {"postgres", *map(ROLES.name, ROLES.all)}
    found = {name for (name,) in await _rows(url, f"{owner} 'events'")}
    assert "postgres" in found
    assert found <= names


@pytest.mark.thorough
async def test_attempts_that_wrote_late_are_known_to_the_fence_afterwards(scratch: Scratch) -> None:
    url = await scratch("before_long_attempts")
    await _upgrade(url)
    await asyncio.to_thread(_downgrade, url, "0008")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(
            "INSERT INTO commands (opened_on, saga, attempt, step, direction, answer)"
            " SELECT current_date - days, saga, 1, step, 'do', '{}'"
            " FROM (VALUES ('plan-1', 500), ('checkout-1', 0)) AS s (saga, days),"
            " (VALUES ('A'), ('B')) AS steps (step)"
        )

    await _upgrade(url)

    assert await _rows(url, "SELECT saga, attempt FROM long_attempts") == [("plan-1", 1)]
    assert await _rows(url, "SELECT DISTINCT saga FROM commands") == [("checkout-1",), ("plan-1",)]
