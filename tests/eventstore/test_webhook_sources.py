"""Which sources of webhooks there are is no longer the table's to say: what it holds stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, make_url

from handrail.dev.postgres import EmbeddedPostgres
from handrail.migrations import configured, upgrade

KEEP = (
    "INSERT INTO webhooks (source, id, type, body, status)"
    " VALUES (%s, 'msg_1', 'some.thing', '', 'waiting')"
)


def _downgrade(url: str, to: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        command.downgrade(configured(connection, None), to)
    engine.dispose()


@pytest.fixture
async def url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database with the library's tables alone."""
    name = f"webhooks_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name}".encode())
        yield postgres.url_of(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def test_webhooks_stay_and_those_of_new_sources_are_kept(url: str) -> None:
    await asyncio.to_thread(upgrade, url, "handrail_app")
    await asyncio.to_thread(_downgrade, url, "0012")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(KEEP, ["bank"])
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.execute(KEEP, ["airport"])

        await asyncio.to_thread(upgrade, url, "handrail_app")

        await connection.execute(KEEP, ["airport"])
        found = await connection.execute("SELECT source FROM webhooks ORDER BY source")
        assert await found.fetchall() == [("airport",), ("bank",)]
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.execute(KEEP, ["a" * 65])
