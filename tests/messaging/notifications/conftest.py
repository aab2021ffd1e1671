from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest

from runtime.embedded.postgres import EmbeddedPostgres
from tests.messaging.notifications.world import World, a_world


@pytest.fixture(scope="package")
async def shared_database(postgres: EmbeddedPostgres, database_template: str) -> AsyncIterator[str]:
    """One for all these tests, since emptying a database is faster than making one."""
    name = f"notifications_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {database_template}".encode())
        yield postgres.url_of(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
async def world(shared_database: str) -> AsyncIterator[World]:
    """An empty one."""
    async with await psycopg.AsyncConnection.connect(shared_database, autocommit=True) as owner:
        cursor = await owner.execute(
            "SELECT string_agg(quote_ident(relname), ', ') FROM pg_class"
            " WHERE relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'"
            " AND relnamespace = 'public'::regnamespace"
        )
        [(tables,)] = await cursor.fetchall()
        await owner.execute("SET session_replication_role = replica")  # events are immutable
        await owner.execute(f"TRUNCATE {tables} RESTART IDENTITY".encode())
    async with a_world(shared_database) as one:
        yield one
