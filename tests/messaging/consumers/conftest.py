from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest

from handrail.dev.postgres import EmbeddedPostgres
from tests.emptying import empty
from tests.messaging.consumers.place import NOTES, Notebook, Place, a_place


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
    """Over empty tables."""
    async with await psycopg.AsyncConnection.connect(shared_database, autocommit=True) as owner:
        await empty(owner)
    async with a_place(shared_database) as one:
        yield one


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()
