from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.messaging.notifications.world import World, a_world


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with a_world(database) as one:
        yield one
