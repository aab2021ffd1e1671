"""Campaigns reach everybody who wants them, once, however often they are begun."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from handrail.kernel import Attribution
from handrail.notifications.campaigns import Campaign, CampaignDiffers, Progress, begin, enqueue
from handrail.notifications.operations import stop_campaign
from tests.messaging.notifications.world import World
from tests.projections.world import until

SALE = Campaign(
    name="sale",
    channel="email",
    texts={
        "en": {"subject": "Sale", "body": "All lamps"},
        "de": {"subject": "Ausverkauf", "body": "Alle Lampen"},
    },
)
WANTED = {"campaigns": {"email": True}}


async def people(world: World, count: int) -> None:
    """Who want it, in both languages; and some others."""
    await world.sql(
        "INSERT INTO notification_contacts (customer, language, time_zone, email, choices,"
        " changed_by) SELECT 'c-' || lpad(n::text, 7, '0'),"
        " CASE WHEN n %% 2 = 0 THEN 'en' ELSE 'de' END, 'UTC', 'mail-' || n,"
        " '{\"campaigns\": {\"email\": true}}', 'test' FROM generate_series(1, %s) AS n",
        count,
    )
    await world.knows("never-asked")
    await world.knows("no-mailbox", email=None, choices=WANTED)
    await world.knows("said-no", choices={"campaigns": {"email": False}})


async def run(
    world: World,
    campaign: Campaign = SALE,
    customers: Iterable[str] | None = None,
    *,
    batches: int | None = None,
    size: int = 7,
) -> Progress:
    """To the end, or so many batches, as if the process died then."""
    async with world.pool.connection() as connection:
        steps = [await begin(connection, campaign, "ann", customers)]
        async for step in enqueue(connection, campaign.name, batch=size):
            steps.append(step)
            if len(steps) - 1 == batches:
                break
    return steps[-1]


async def reached(world: World) -> set[str]:
    found = await world.sql("SELECT customer FROM notifications WHERE lane = 'campaign'")
    assert len(found) == len(set(found))
    return {customer for (customer,) in found}


def numbered(count: int) -> set[str]:
    return {f"c-{number:07}" for number in range(1, count + 1)}


async def test_everybody_who_asked_for_it_is_reached(world: World) -> None:
    await people(world, 50)
    progress = await run(world)
    assert await reached(world) == numbered(50)
    assert progress == Progress(total=53, considered=53, enqueued=50, finished=True)


async def test_one_that_died_goes_on_where_it_was(world: World) -> None:
    await people(world, 50)
    part = await run(world, batches=3)
    assert len(await reached(world)) == part.enqueued == 21
    assert not part.finished
    assert (await run(world)).enqueued == 50
    assert await reached(world) == numbered(50)


async def test_begun_again_when_it_is_over_it_does_nothing(world: World) -> None:
    await people(world, 10)
    first = await run(world)
    await people_come_later(world)
    assert await run(world) == Progress(14, first.considered, first.enqueued, finished=True)
    assert await reached(world) == numbered(10)


async def people_come_later(world: World) -> None:
    await world.knows("late", choices=WANTED)


async def test_two_who_run_it_at_once_share_it(world: World) -> None:
    await people(world, 100)
    await asyncio.gather(*(run(world, size=5) for _ in range(3)))
    assert await reached(world) == numbered(100)
    assert await world.sql("SELECT considered, enqueued FROM campaigns") == [(103, 100)]


async def test_a_list_reaches_those_on_it_and_no_others(world: World) -> None:
    await people(world, 20)
    listed = ["c-0000007", "c-0000003", "c-0000007", "said-no", "unknown"]
    progress = await run(world, customers=listed, size=2)
    assert await reached(world) == {"c-0000003", "c-0000007"}
    assert progress == Progress(total=4, considered=4, enqueued=2, finished=True)


@pytest.mark.parametrize(
    "other",
    [
        Campaign(name="sale", channel="sms", texts=SALE.texts),
        Campaign(name="sale", channel="email", texts={"en": {"subject": "", "body": "x"}}),
        Campaign(name="sale", channel="email", texts=SALE.texts, rate=5),
    ],
    ids=("channel", "words", "rate"),
)
async def test_a_name_is_not_used_for_two_campaigns(world: World, other: Campaign) -> None:
    await people(world, 10)
    await run(world)
    with pytest.raises(CampaignDiffers, match="ann"):
        await run(world, other)
    with pytest.raises(CampaignDiffers):
        await run(world, customers=["c-0000001"])


async def test_a_rate_spreads_it_over_time(world: World) -> None:
    """Across batches, too, however many send it."""
    await people(world, 50)
    before = datetime.now(UTC)
    await run(world, Campaign(name="slow", channel="email", texts=SALE.texts, rate=2))
    found = await world.sql("SELECT due_at FROM notifications ORDER BY due_at")
    gaps = [b - a for (a,), (b,) in pairwise(found)]
    assert min(gaps) >= timedelta(seconds=0.499)
    assert found[-1][0] - before >= timedelta(seconds=24.4)
    assert found[-1][0] - before < timedelta(seconds=60)


async def test_each_is_written_to_in_their_language(world: World) -> None:
    await people(world, 4)
    await run(world)
    async with world.notifying():
        await until(world.nothing_waits)
    said = {message["to"]: message["text"] for message in await world.carried()}
    assert said == {
        "mail-1": "Alle Lampen",
        "mail-2": "All lamps",
        "mail-3": "Alle Lampen",
        "mail-4": "All lamps",
    }


async def test_a_campaign_that_is_stopped_reaches_nobody_else(world: World) -> None:
    await people(world, 50)
    await run(world, batches=3)
    async with world.pool.connection() as connection:
        stopped = await stop_campaign(connection, Attribution("ann", "wrong price"), "sale")
    assert stopped == 21
    assert (await run(world)).enqueued == 21
    assert await world.sql("SELECT DISTINCT state, actor, actor_reason FROM notifications") == [
        ("discarded", "ann", "wrong price")
    ]
