from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from handrail.dev.postgres import EmbeddedPostgres
from tests.eventstore.interleaving import Lab

SHARED = "eventstore_tests"
EMPTY = """
SET synchronous_commit = off;
SET session_replication_role = replica;
TRUNCATE events, outbox, streams, commands, checkpoints, snapshots, state_snapshots, long_attempts
  RESTART IDENTITY;
"""


@pytest.fixture(scope="module")
async def shared_database(postgres: EmbeddedPostgres, database_template: str) -> AsyncIterator[str]:
    """A migrated database for tests that leave its structure alone."""
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {SHARED} TEMPLATE {database_template}".encode())
        yield postgres.url_of(SHARED)
        await admin.execute(f"DROP DATABASE {SHARED} WITH (FORCE)".encode())


@pytest.fixture
async def lab(shared_database: str) -> AsyncIterator[Lab]:
    """Over an empty store: emptying one is much faster than making one."""
    async with await psycopg.AsyncConnection.connect(shared_database, autocommit=True) as owner:
        await owner.execute(EMPTY)
    async with Lab(shared_database) as lab:
        yield lab


@pytest.fixture
async def own_lab(database: str) -> AsyncIterator[Lab]:
    """Over a database of its own, to be changed at will."""
    async with Lab(database) as lab:
        yield lab
