"""One world for all orders of this folder: each order has names that no other one uses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from temporalio.testing import WorkflowEnvironment

from runtime.embedded.postgres import EmbeddedPostgres
from tests.world import World, open_world


@pytest.fixture(scope="session")
async def world(
    postgres: EmbeddedPostgres, database_template: str, temporal: WorkflowEnvironment
) -> AsyncIterator[World]:
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE handrail_world TEMPLATE {database_template}")
    async with (
        open_world(postgres.url_of("handrail_world"), temporal) as world,
        world.at_work(),
    ):
        yield world
