from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest

from runtime.embedded.postgres import EmbeddedPostgres
from tests.messaging.consumers.place import NOTES, Notebook, Place, a_place

EMPTY = """
SET synchronous_commit = off;
SET session_replication_role = replica;
TRUNCATE events, outbox, streams, checkpoints, followers, inbox, parked_streams, parked_messages,
    ledger_lines, packing_lines, packing_lists, notes RESTART IDENTITY;
"""


@pytest.fixture(scope="module")
async def shared_database(postgres: EmbeddedPostgres, database_template: str) -> AsyncIterator[str]:
    name = f"consumers_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {database_template}".encode())
        url = postgres.url_of(name)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
            await owner.execute(NOTES.encode())
        yield url
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
async def place(shared_database: str) -> AsyncIterator[Place]:
    """Over empty tables: emptying them is much faster than making a database."""
    async with await psycopg.AsyncConnection.connect(shared_database, autocommit=True) as owner:
        await owner.execute(EMPTY.encode())
    async with a_place(shared_database) as one:
        yield one


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()
