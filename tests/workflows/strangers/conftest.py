"""An environment for the sagas of strangers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from handrail.testing.environment import Environment, open_environment
from tests.workflows.strangers.business import BUSINESS


@pytest.fixture(scope="session")
async def strangers(
    postgres: EmbeddedPostgres, database_template: str, temporal: WorkflowEnvironment
) -> AsyncIterator[Environment]:
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE handrail_strangers TEMPLATE {database_template}")
    async with (
        open_environment(BUSINESS, postgres.url_of("handrail_strangers"), temporal) as environment,
        environment.at_work(),
    ):
        yield environment
