from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from messaging.notifications.pruning import KEPT, prune
from tests.messaging.notifications.world import World

OLD = datetime.now(UTC) - KEPT - timedelta(hours=1)


@pytest.mark.parametrize("state", ["sent", "withheld", "withdrawn", "parked", "failed", "waiting"])
async def test_only_what_nobody_waits_for_is_deleted(world: World, state: str) -> None:
    await world.enqueue("old", "ann", state=state, created_at=OLD, settled_at=OLD)
    await world.enqueue("new", "ann", state=state, settled_at=datetime.now(UTC))
    async with world.pool.connection() as connection:
        await prune(connection)
    left = {source for source, _ in await world.states()}
    assert left == ({"new"} if state in {"sent", "withheld", "withdrawn"} else {"old", "new"})
