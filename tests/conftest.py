"""Real servers for every test, started once; a fresh migrated database for each that asks."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import psycopg
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from handrail.testing.database_copies import to_be_copied
from handrail.testing.temporal_server import time_skipping_server
from tests.servers.in_memory import a_folder

pytest_plugins = ["tests.collecting", "tests.sharing", "tests.slowest", "tests.servers.broker"]
_TEMPLATE = "handrail_template"
_WITH_READ_MODELS = "handrail_template_with_read_models"
# Tests kill processes, and not the machine: what a process has written is there without a sync.
# Tests of the server itself start one of their own, which keeps its safety.
_UNTIL_THE_POWER_FAILS = (
    "fsync = off",
    "full_page_writes = off",
    "checkpoint_timeout = '1h'",
    "max_wal_size = '8GB'",
    # Each database would be looked at again and again, and lives for a second.
    "autovacuum = off",
)
# A workflow that is deleted, as after Temporal's retention, is gone once these have caught up.
_FORGETS_SOON = (
    "history.transferProcessorUpdateAckInterval",
    "history.visibilityProcessorUpdateAckInterval",
    # Likewise a version of the workers on which nothing runs any more.
    "matching.wv.VersionDrainageStatusVisibilityGracePeriod",
    "matching.wv.VersionDrainageStatusRefreshInterval",
)
_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def subject_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The key file of every process that a test starts, unless it names another."""
    from handrail.subject_keys.key_file import make  # noqa: PLC0415  # only who seals needs it

    file = tmp_path_factory.mktemp("keys") / "subject-keys"
    make(file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HANDRAIL_SUBJECT_KEYS_FILE", str(file))
        yield


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    """Its folder goes with it: pytest would keep those of the last runs, databases and all."""
    with a_folder() as folder:
        server = EmbeddedPostgres(folder)
        await server.start()
        try:
            for setting in _UNTIL_THE_POWER_FAILS:
                await _administer(server.url, f"ALTER SYSTEM SET {setting}")
            await _administer(server.url, "SELECT pg_reload_conf()")
            yield server
        finally:
            await server.kill()  # nobody needs its data, and a farewell writes all of it to disk


def _flags(names: Sequence[str]) -> list[str]:
    return [word for name in names for word in ("--dynamic-config-value", f'{name}="200ms"')]


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A real server on which every workflow has its own clock, which skips idle time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GOGC", "400")  # it has memory, and no time to collect garbage
        environment = await time_skipping_server(["merchant"], _flags(_FORGETS_SOON))
    async with environment:
        yield environment


@pytest.fixture(scope="session")
async def database_template(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated database that nobody connects to, for others to be copied from."""
    from handrail.migrations import upgrade  # noqa: PLC0415  # only who asks needs it
    from runtime.app import HANDRAIL  # noqa: PLC0415

    await _administer(postgres.url, f"CREATE DATABASE {_TEMPLATE}")
    upgrade(postgres.url_of(_TEMPLATE), "handrail_app", own=HANDRAIL.tables)
    await to_be_copied(postgres.url_of(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
async def database(postgres: EmbeddedPostgres, database_template: str) -> AsyncIterator[str]:
    """The URL of an empty migrated database that nobody else uses."""
    async with _copy(postgres, database_template) as url:
        yield url


@pytest.fixture(scope="session")
async def template_with_read_models(postgres: EmbeddedPostgres, database_template: str) -> str:
    from handrail.projections.install import install  # noqa: PLC0415  # only who asks needs it
    from runtime.app import HANDRAIL  # noqa: PLC0415

    await _administer(
        postgres.url, f"CREATE DATABASE {_WITH_READ_MODELS} TEMPLATE {database_template}"
    )
    install(postgres.url_of(_WITH_READ_MODELS), "handrail_app", HANDRAIL.read_models)
    return _WITH_READ_MODELS


@pytest.fixture
async def database_with_read_models(
    postgres: EmbeddedPostgres, template_with_read_models: str
) -> AsyncIterator[str]:
    """As `database`, with all read models installed, which takes longer than all the rest."""
    async with _copy(postgres, template_with_read_models) as url:
        yield url


@asynccontextmanager
async def _copy(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    name = f"handrail_test_{next(_numbers)}"
    # Copied as files, and not page by page through the log: half the work.
    await _administer(
        postgres.url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
    )
    yield postgres.url_of(name)
    await _administer(postgres.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def _administer(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement)
