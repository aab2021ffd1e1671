"""Reminders follow the plan: whatever it becomes, nobody is reminded of what they do not owe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import permutations

import pytest
from psycopg.types.json import Jsonb

from consumers.notifications.handler import handle_at
from domain.identifiers import CustomerId, OrderId, ReturnId
from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    InstalmentRescheduled,
    PlanAdjusted,
    PlannedInstalment,
    PlanOpened,
    PlanSettled,
    PlanWrittenOff,
    Reduction,
)
from handrail.eventstore.store import Recorded
from handrail.kernel import Event
from handrail.messaging.envelope import Received, received_from_store
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.messaging.notifications.world import World
from tests.projections.stories import placed
from tests.projections.world import until

ORDER, CUSTOMER = OrderId("o"), CustomerId("c")
TODAY = datetime.now(UTC).date()


def in_days(days: int) -> date:
    return TODAY + timedelta(days)


def instalment(number: int, due: date, cents: int = 25_00) -> PlannedInstalment:
    return PlannedInstalment(number=number, due=due, amount=eur(cents))


OPENED = PlanOpened(
    order=ORDER,
    customer=CUSTOMER,
    card="card",
    instalments=tuple(instalment(number, in_days(30 * number)) for number in (1, 2, 3)),
)


async def reminded(world: World, *events: Event) -> dict[int, tuple[date, str]]:
    """By instalment: the day of its reminder, and the amount, by one channel."""
    await world.knows(CUSTOMER)
    await world.append("order-o", placed(ORDER, CUSTOMER))
    await world.append("plan-o", *events)
    await world.hear("order-o", "plan-o")
    return await waiting(world)


async def waiting(world: World) -> dict[int, tuple[date, str]]:
    found = await world.sql(
        "SELECT source, due_at, body FROM notifications WHERE kind = 'instalment-due'"
        " AND channel = 'email' AND state = 'waiting'"
    )
    reminders = {
        int(source.partition("#")[2]): (due_at.date(), body.rpartition(": ")[2])
        for source, due_at, body in found
    }
    assert len(reminders) == len(found), "two reminders of one instalment"
    return reminders


def as_planned(*numbers: int) -> dict[int, tuple[date, str]]:
    return {number: (in_days(30 * number - 3), "25.00 EUR.") for number in numbers}


async def test_each_instalment_has_its_reminder_three_days_before(world: World) -> None:
    assert await reminded(world, OPENED) == as_planned(1, 2, 3)


PAID = InstalmentCollected(order=ORDER, number=1, principal=eur(25_00), fees=eur(0), charge="c")
SETTLED = PlanSettled(order=ORDER, principal=eur(75_00), fees=eur(0), charge="c")
GIVEN_UP = PlanWrittenOff(order=ORDER, principal=eur(75_00), fees=eur(0))


@pytest.mark.parametrize(
    ("events", "left"),
    [([PAID], (2, 3)), ([SETTLED], ()), ([GIVEN_UP], ())],
    ids=("one is paid", "all are paid", "all are given up"),
)
async def test_nobody_is_reminded_of_what_is_no_longer_due(
    world: World, events: Sequence[Event], left: tuple[int, ...]
) -> None:
    assert await reminded(world, OPENED, *events) == as_planned(*left)


async def test_a_reminder_moves_with_its_instalment(world: World) -> None:
    moved = InstalmentRescheduled(order=ORDER, number=2, due=in_days(50))
    found = await reminded(world, OPENED, moved)
    assert found == as_planned(1, 3) | {2: (in_days(47), "25.00 EUR.")}


def adjusted(*reductions: tuple[int, int]) -> PlanAdjusted:
    value = eur(sum(cents for _, cents in reductions))
    return PlanAdjusted(
        order=ORDER,
        return_id=ReturnId("r"),
        value=value,
        absorbed=value,
        refund=eur(0),
        reductions=tuple(Reduction(number=n, amount=eur(cents)) for n, cents in reductions),
    )


async def test_a_return_makes_reminders_smaller_or_takes_them_away(world: World) -> None:
    found = await reminded(world, OPENED, adjusted((3, 25_00), (2, 5_00)))
    assert found == as_planned(1) | {2: (in_days(57), "20.00 EUR.")}


async def test_a_return_that_is_taken_back_brings_reminders_back(world: World) -> None:
    again = AdjustmentReverted(
        order=ORDER,
        return_id=ReturnId("r"),
        instalments=(instalment(2, in_days(60)), instalment(3, in_days(90))),
    )
    found = await reminded(world, OPENED, adjusted((3, 25_00), (2, 5_00)), again)
    assert found == as_planned(1, 2, 3)


async def test_what_is_due_today_is_not_announced(world: World) -> None:
    soon = (instalment(1, TODAY), instalment(2, in_days(-5)), instalment(3, in_days(2)))
    opened = PlanOpened(order=ORDER, customer=CUSTOMER, card="card", instalments=soon)
    assert set(await reminded(world, opened)) == {3}


async def test_who_opts_out_later_is_not_reminded(world: World) -> None:
    await reminded(world, OPENED)
    off = {"payments": {"email": False, "push": False}}
    await world.sql("UPDATE notification_contacts SET choices = %s", Jsonb(off))
    await world.sql("UPDATE notifications SET due_at = now()")
    async with world.notifying():
        await until(world.nothing_waits)
    assert set((await world.states("state || ': ' || reason")).values()) == {"withheld: turned off"}
    assert await world.carried() == []


async def test_a_reminder_that_was_held_up_until_the_day_is_not_sent(world: World) -> None:
    await reminded(world, OPENED)
    await world.sql("UPDATE notifications SET due_at = now(), expires_at = now()")
    async with world.notifying():
        await until(world.nothing_waits)
    assert set((await world.states("reason")).values()) == {"too late"}


async def test_reminders_come_at_ten_in_the_customers_own_time(world: World) -> None:
    await world.knows(CUSTOMER, time_zone="Asia/Tokyo")
    await world.append("order-o", placed(ORDER, CUSTOMER))
    await world.append("plan-o", OPENED)
    await world.hear("order-o", "plan-o")
    found = await world.sql("SELECT DISTINCT due_at::time FROM notifications")
    assert found == [(time(1),)]


MOVED = InstalmentRescheduled(order=ORDER, number=2, due=in_days(70))
MOVED_AGAIN = InstalmentRescheduled(order=ORDER, number=2, due=in_days(80))
LESS = PlanAdjusted(
    order=ORDER,
    return_id=ReturnId("r"),
    value=eur(10_00),
    absorbed=eur(10_00),
    refund=eur(0),
    reductions=(Reduction(number=3, amount=eur(10_00)),),
)
AS_BEFORE = AdjustmentReverted(
    order=ORDER, return_id=ReturnId("r"), instalments=(instalment(3, in_days(90)),)
)
OUT_OF_ORDER = {
    "moved twice": [OPENED, MOVED, MOVED_AGAIN, PAID],
    "made less and whole again": [OPENED, LESS, AS_BEFORE, PAID],
    "settled": [OPENED, MOVED, PAID, SETTLED],
    "less and paid": [OPENED, LESS, MOVED, PAID],
}


@pytest.mark.thorough
@pytest.mark.parametrize("story", OUT_OF_ORDER)
async def test_in_whatever_order_the_events_of_a_plan_come_its_reminders_are_the_same(
    world: World, story: str
) -> None:
    """Such as one that the broker lost, and the store brings behind later ones."""
    events = OUT_OF_ORDER[story]
    expected = await reminded(world, *events)
    instalments = await world.sql(INSTALMENTS)
    plan = await plan_of(world)

    for order in permutations(plan):
        await world.sql("TRUNCATE notifications, notification_orders, notification_instalments")
        await world.hear("order-o")
        for received in (*order, order[0]):
            async with world.pool.connection() as connection, connection.transaction():
                await handle_at(connection, received, datetime.now(UTC))

        said = [one.version for one in order]
        assert await waiting(world) == expected, said
        assert await world.sql(INSTALMENTS) == instalments, said


INSTALMENTS = "SELECT number, due, amount FROM notification_instalments ORDER BY number"


async def plan_of(world: World) -> Sequence[Received]:
    found = await world.sql(
        "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
        " FROM events WHERE stream = 'plan-o' ORDER BY version"
    )
    return [received_from_store(Recorded(*row), HANDRAIL.codec) for row in found]
