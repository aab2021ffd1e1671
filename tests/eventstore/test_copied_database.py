"""A copy of a database within its cluster is another store: both give out the same from then on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, make_url

from handrail import migrations
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.identity import OtherStore
from handrail.eventstore.pool import open_pool
from runtime.app import HANDRAIL
from tests.servers.postgres import ROLE, sql, value

pytestmark = pytest.mark.thorough

ADOPT = "SELECT adopt_store('the tests say so', 'tests')"
DATABASES = "SELECT epoch, database_oid = %s FROM store_epochs ORDER BY epoch"
OID = "SELECT oid::bigint FROM pg_database WHERE datname = current_database()"


@asynccontextmanager
async def migrated(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The name of a database of its own, and of whatever is copied from it the beginning."""
    name = f"handrail_copied_{uuid4().hex[:8]}"
    await sql(postgres.url, f"CREATE DATABASE {name}")
    await asyncio.to_thread(migrations.upgrade, postgres.url_of(name), ROLE, own=HANDRAIL.tables)
    try:
        yield name
    finally:
        for (one,) in await sql(
            postgres.url, f"SELECT datname FROM pg_database WHERE starts_with(datname, '{name}')"
        ):
            await sql(postgres.url, f"DROP DATABASE {one} WITH (FORCE)")


async def answers(url: str) -> bool:
    """Raises OtherStore."""
    async with open_pool(url, role=ROLE, size=1) as pool, pool.connection() as connection:
        [(one,)] = await (await connection.execute("SELECT 1")).fetchall()
        return bool(one)


async def test_a_copy_is_refused_until_it_is_adopted_and_the_original_goes_on(
    postgres: EmbeddedPostgres,
) -> None:
    async with migrated(postgres) as name:
        await sql(postgres.url, f"CREATE DATABASE {name}_copy TEMPLATE {name}")
        original, copy = postgres.url_of(name), postgres.url_of(f"{name}_copy")

        with pytest.raises(OtherStore, match=r"database \d+.*database \d+.*restore check"):
            await answers(copy)
        assert await answers(original)

        await sql(copy, ADOPT)
        assert await answers(copy)
        assert await sql(copy, DATABASES, await value(copy, OID)) == [(1, False), (2, True)]
        assert await value(original, "SELECT count(*) FROM store_epochs") == 1


async def test_a_copy_that_takes_the_place_and_the_name_of_its_original_is_refused(
    postgres: EmbeddedPostgres,
) -> None:
    async with migrated(postgres) as name:
        await sql(postgres.url, f"CREATE DATABASE {name}_copy TEMPLATE {name}")
        await sql(postgres.url, f"ALTER DATABASE {name} RENAME TO {name}_lost")
        await sql(postgres.url, f"ALTER DATABASE {name}_copy RENAME TO {name}")

        with pytest.raises(OtherStore, match="restore check"):
            await answers(postgres.url_of(name))
        assert await answers(postgres.url_of(f"{name}_lost"))


async def test_a_process_may_not_adopt_a_copy_as_a_new_timeline(
    postgres: EmbeddedPostgres,
) -> None:
    async with migrated(postgres) as name:
        await sql(postgres.url, f"CREATE DATABASE {name}_copy TEMPLATE {name}")
        copy = postgres.url_of(f"{name}_copy")
        await sql(copy, "UPDATE store_epochs SET timeline = 0")

        async with open_pool(copy, role=ROLE, size=1, new_timeline="adopt") as pool:
            with pytest.raises(OtherStore, match="restore check"):
                await pool.getconn()
        with pytest.raises(psycopg.Error, match="not the same store"):
            await sql(copy, "SELECT adopt_timeline('tests')")


async def test_a_store_of_the_release_before_goes_on_and_has_its_database_once_it_is_migrated(
    postgres: EmbeddedPostgres,
) -> None:
    async with migrated(postgres) as name:
        url = postgres.url_of(name)
        await asyncio.to_thread(downgraded, url, "0044")
        assert await answers(url)

        await asyncio.to_thread(migrations.upgrade, url, ROLE, own=HANDRAIL.tables)

        assert await sql(url, DATABASES, await value(url, OID)) == [(1, True)]
        assert await answers(url)


def downgraded(url: str, to: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        command.downgrade(migrations.configured(connection, HANDRAIL.tables), to)
    engine.dispose()
