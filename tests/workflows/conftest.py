"""One world for all orders of this folder: each order has names that no other one uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from tests.workflows.releases import Fleet
from tests.world import World, open_world

# A worker warns when a try that has just ended was to be cancelled; as an error that would kill it.
HARMLESS = pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(HARMLESS)


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


@pytest.fixture
async def fleet(world: World) -> AsyncIterator[Fleet]:
    fleet = Fleet(place=world.elsewhere())
    yield fleet
    await fleet.ends()
