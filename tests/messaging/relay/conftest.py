from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from handrail.eventstore.pool import open_pool
from tests.messaging.relay.world import World, a_world


@pytest.fixture
async def world(database: str, broker: Any) -> AsyncIterator[World]:
    async with (
        open_pool(database, role="handrail_app", size=20) as pool,
        a_world(database, pool, broker.url, broker.management_url) as one,
    ):
        yield one
