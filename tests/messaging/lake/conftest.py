from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from handrail.dev.postgres import EmbeddedPostgres

pytest.importorskip("deltalake", reason="NOT TESTED: the extra `lake` is not installed")

from tests.messaging.lake.history import Told, happens
from tests.messaging.lake.place import FIRST, Place, a_place  # which needs it


@pytest.fixture
async def place(database: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(database, tmp_path / "lake") as one:
        yield one


@pytest.fixture(scope="module")
async def months(
    postgres: EmbeddedPostgres, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Place, list[Told]]]:
    """Some months of business in a lake that tests only read, and what happened in them."""
    name = "handrail_lake_months"
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {database_template}".encode())
        async with a_place(postgres.url_of(name), tmp_path_factory.mktemp("months")) as place:
            told = await happens(place, FIRST, days=70, orders=40)
            await place.export()
            yield place, told
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
