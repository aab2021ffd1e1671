"""Processes run on while a dump is restored into the database that their address leads to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import exc

from handrail.database_engine import open_engine
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.identity import NotWhole, OtherStore, Refused, refused_in
from handrail.eventstore.pool import open_pool
from tests.servers.postgres import a_server, dump, migrated, restore, sql

Look = Callable[[], Awaitable[Refused | None]]
"""Whether a connection is given, by a process that has had it before where it may be."""


@asynccontextmanager
async def _by_pool(url: str) -> AsyncIterator[Look]:
    async with open_pool(url, size=1) as pool:

        async def look() -> Refused | None:
            try:
                async with pool.connection() as connection:
                    await connection.execute("SELECT 1")
            except Refused as refused:
                return refused
            return None

        yield look


@asynccontextmanager
async def _by_engine(url: str) -> AsyncIterator[Look]:
    async with open_engine(url, size=1) as engine:

        async def look() -> Refused | None:
            try:
                async with engine.connect() as connection:
                    await connection.exec_driver_sql("SELECT 1")
            except exc.OperationalError as error:
                return refused_in(error)
            return None

        yield look


WAYS = pytest.mark.parametrize("way", [_by_pool, _by_engine], ids=["pool", "engine"])


@WAYS
async def test_a_store_that_has_no_epoch_yet_gives_no_connection(
    postgres: EmbeddedPostgres, database_template: str, way: Callable[[str], object]
) -> None:
    name = f"handrail_half_{uuid4().hex[:8]}"
    await sql(postgres.url, f"CREATE DATABASE {name} TEMPLATE {database_template}")
    url = postgres.url_of(name)
    epochs = await sql(url, "DELETE FROM store_epochs RETURNING store_epochs::text")
    async with way(url) as look:  # type: ignore[attr-defined]  # one of the two above
        assert isinstance(await look(), NotWhole)

        await sql(url, "INSERT INTO store_epochs SELECT (%s::store_epochs).*", epochs[0][0])

        assert await look() is None


@pytest.mark.thorough
@WAYS
async def test_a_connection_from_before_the_dump_was_restored_is_given_to_nobody_after_it(
    tmp_path: Path, way: Callable[[str], object]
) -> None:
    async with a_server(tmp_path / "old") as old:
        await migrated(old)
        dumped = await dump(old, tmp_path / "handrail.dump")
    async with a_server(tmp_path / "new") as new, way(new.url) as look:  # type: ignore[attr-defined]  # as above
        assert await look() is None, "there is no store"

        await restore(dumped, new)

        assert isinstance(await look(), OtherStore)
