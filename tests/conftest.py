"""Real servers for every test, started once; a fresh migrated database for each that asks."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg
import pytest
from temporalio.testing import WorkflowEnvironment

from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.temporal import FLAGS, SEARCH_ATTRIBUTES, server_program

_TEMPLATE = "handrail_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    """Its folder goes with it: pytest would keep those of the last runs, databases and all."""
    with TemporaryDirectory(prefix="handrail-tests-") as folder:
        async with EmbeddedPostgres(Path(folder)) as server:
            yield server


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A real server on which every workflow has its own clock, which skips idle time."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=server_program(),
        dev_server_extra_args=FLAGS,
        dev_server_log_level="error",
        search_attributes=SEARCH_ATTRIBUTES,
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
async def database_template(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated database that nobody connects to, for others to be copied from."""
    from eventstore.migrations import upgrade  # noqa: PLC0415  # only who asks needs it

    await _administer(postgres.url, f"CREATE DATABASE {_TEMPLATE}")
    upgrade(postgres.url_of(_TEMPLATE), "handrail_app")
    return _TEMPLATE


@pytest.fixture
async def database(postgres: EmbeddedPostgres, database_template: str) -> str:
    """The URL of an empty migrated database that nobody else uses.

    It is left where it is, until the server goes: to drop it takes longer than to make it.
    """
    url = postgres.url_of(f"handrail_test_{next(_numbers)}")
    name = urlsplit(url).path.removeprefix("/")
    await _administer(postgres.url, f"CREATE DATABASE {name} TEMPLATE {database_template}")
    return url


async def _administer(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement)
