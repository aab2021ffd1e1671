from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from handrail.notifications.pruning import CAMPAIGNS_KEPT, FAILED_KEPT, KEPT, prune
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


async def test_what_failed_waits_for_a_person_and_not_for_ever(world: World) -> None:
    long_ago = datetime.now(UTC) - FAILED_KEPT - timedelta(hours=1)
    await world.enqueue("older", "ann", state="failed", created_at=long_ago, settled_at=long_ago)
    await world.enqueue("old", "ann", state="failed", created_at=OLD, settled_at=OLD)
    await world.enqueue("parked", "ann", state="parked", created_at=long_ago, settled_at=long_ago)
    async with world.pool.connection() as connection:
        assert await prune(connection) == 1
    assert {source for source, _ in await world.states()} == {"old", "parked"}


async def a_campaign(world: World, name: str, finished: datetime | None) -> None:
    await world.sql(
        "INSERT INTO campaigns (name, channel, texts, listed, fingerprint, started_by, finished_at)"
        " VALUES (%s, 'email', '{}', false, 'f', 'ann', %s)",
        name,
        finished,
    )


async def campaigns(world: World) -> set[str]:
    return {name for (name,) in await world.sql("SELECT name FROM campaigns")}


async def test_a_campaign_that_ended_long_ago_is_deleted(world: World) -> None:
    long_ago = datetime.now(UTC) - CAMPAIGNS_KEPT - timedelta(hours=1)
    await a_campaign(world, "ended", long_ago)
    await a_campaign(world, "ended-lately", OLD)
    await a_campaign(world, "running", None)
    async with world.pool.connection() as connection:
        await prune(connection)
    assert await campaigns(world) == {"ended-lately", "running"}


@pytest.mark.parametrize("state", ["parked", "waiting"])
async def test_a_campaign_is_kept_as_long_as_a_message_needs_its_texts(
    world: World, state: str
) -> None:
    long_ago = datetime.now(UTC) - CAMPAIGNS_KEPT - timedelta(hours=1)
    await a_campaign(world, "spring", long_ago)
    await world.enqueue(
        "campaign/spring/ann",
        "ann",
        lane="campaign",
        state=state,
        created_at=long_ago,
        due_at=long_ago,
        settled_at=None if state == "waiting" else long_ago,
        campaign="spring",
    )
    async with world.pool.connection() as connection:
        await prune(connection)
    assert await campaigns(world) == {"spring"}
