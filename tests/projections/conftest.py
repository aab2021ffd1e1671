from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.projections.world import World, a_world


@pytest.fixture
def database(database_with_read_models: str) -> str:
    return database_with_read_models


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with a_world(database) as one:
        yield one
