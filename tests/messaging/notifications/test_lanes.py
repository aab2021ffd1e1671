"""A campaign never holds up what a customer waits for. Shown by the order of sends, not by time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from psycopg.types.json import Jsonb

from handrail.notifications import queue
from tests.eventstore.plans import plans_of
from tests.messaging.notifications.world import World
from tests.projections.world import until

SLOTS, RESERVED = 16, 4
TEXTS = {"en": {"subject": "Sale", "body": "All lamps"}}


async def campaign(world: World, count: int, *, to: str = "mail", due: str = "-1 hour") -> None:
    """So many messages of a campaign, as a rule all of them due before any other."""
    await world.knows("many", email=to, choices={"campaigns": {"email": True}})
    await world.sql(
        "INSERT INTO campaigns (name, channel, texts, listed, fingerprint, started_by)"
        " VALUES ('sale', 'email', %s, false, '', 'ann')",
        Jsonb(TEXTS),
    )
    await world.sql(
        "INSERT INTO notifications (lane, source, channel, kind, customer, campaign, language,"
        " state, due_at) SELECT 'campaign', 'campaign/sale/c-' || n, 'email', 'campaign', 'many',"
        " 'sale', 'en', 'waiting', now() + %s::interval FROM generate_series(1, %s) AS n",
        due,
        count,
    )


@pytest.mark.thorough
async def test_behind_100000_messages_of_a_campaign_an_order_is_confirmed_at_once(
    world: World,
) -> None:
    await campaign(world, 100_000)
    await world.knows("ann")
    async with world.notifying(slots=SLOTS, reserved=RESERVED):
        await until(lambda: _under_way(world))
        for number in range(5):
            before = len(await world.carried())
            await world.enqueue(f"m-{number}", "ann")
            await until(lambda number=number: _sent(world, f"m-{number}"))  # type: ignore[misc]
            keys = [message["key"] for message in await world.carried()]
            # Of the campaign go out what was on its way already, and one more round at most.
            assert keys.index(f"m-{number}/email/1") - before <= 3 * SLOTS
    assert await world.value("SELECT count(*) FROM notifications WHERE state = 'waiting'") > 90_000


@pytest.mark.thorough
async def test_while_a_campaign_is_stuck_at_the_provider_there_is_room_for_others(
    world: World,
) -> None:
    """It takes the slots it may have, and the provider holds on to each of them."""
    await campaign(world, 100, to="to_slow")
    await world.knows("ann")
    async with world.notifying(slots=SLOTS, reserved=RESERVED) as [notifier]:
        await until(lambda: _holds(notifier, SLOTS - RESERVED))
        for number in range(20):
            await world.enqueue(f"m-{number}", "ann")
        await until(lambda: _carried(world, 20))
    keys = [message["key"] for message in await world.carried()]
    assert {key.partition("-")[0] for key in keys[:20]} == {"m"}


@pytest.mark.thorough
async def test_what_is_due_in_both_lanes_goes_out_with_the_transactional_first(
    world: World,
) -> None:
    await campaign(world, 40)
    await world.knows("ann")
    for number in range(40):
        await world.enqueue(f"m-{number}", "ann")
    async with world.notifying(slots=2, reserved=1):
        await until(world.nothing_waits)
    keys = [message["key"] for message in await world.carried()]
    assert {key.partition("-")[0] for key in keys[:38]} == {"m"}
    assert len(keys) == 80


async def test_a_campaign_has_its_words_from_the_campaign(world: World) -> None:
    await campaign(world, 1)
    async with world.notifying():
        await until(world.nothing_waits)
    [carried] = await world.carried()
    assert (carried["subject"], carried["text"]) == ("Sale", "All lamps")


@pytest.mark.quick(1)
@pytest.mark.parametrize("analysed", [False, True], ids=("just now", "for a while"))
@pytest.mark.parametrize(("due", "pages"), [("-1 hour", 500), ("1 day", 20)])
async def test_to_take_what_is_due_costs_the_same_however_many_wait(
    world: World, due: str, pages: int, *, analysed: bool
) -> None:
    """Whether the planner has heard of them or not: a campaign is enqueued within seconds."""
    await campaign(world, 50_000, due=due)
    if analysed:
        await world.sql("ANALYZE notifications")
    await world.sql("LOAD 'auto_explain'")
    async with plans_of(world.owner) as plans:
        taken = await queue.take(world.owner, "campaign", 10, timedelta(seconds=30))
    assert len(taken) == (10 if due == "-1 hour" else 0)
    assert 0 < plans.buffers() < pages, plans


async def _under_way(world: World) -> bool:
    return len(await world.carried()) > SLOTS


async def _sent(world: World, source: str) -> bool:
    state = await world.value("SELECT state FROM notifications WHERE source = %s", source)
    return bool(state == "sent")


async def _holds(notifier: object, slots: int) -> bool:
    return len(notifier._sending) == slots  # type: ignore[attr-defined]


async def _carried(world: World, count: int) -> bool:
    return len(await world.carried()) >= count
