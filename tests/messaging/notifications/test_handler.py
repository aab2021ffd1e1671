"""What customers are told of which events, as it stands in the queue."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from consumers.notifications.handler import CONSUMER
from domain.identifiers import OrderId, ReturnId
from domain.ordering.events import OrderConfirmed, OrderRejected
from domain.payments.events import (
    InstalmentCollected,
    InstalmentMissed,
    LateFeeCharged,
    PlanSettled,
    PlanWrittenOff,
    RefundPaid,
)
from domain.shipping.events import ShipmentDelivered, ShipmentDispatched, ShipmentLost
from handrail.kernel import Event
from tests.controls import NOON, a_customer, an_order_id, eur
from tests.messaging.notifications.world import World
from tests.projections.stories import placed

ALL = ("push", "sms", "email")


@pytest.fixture
async def order(world: World) -> OrderId:
    """Of a customer who can be reached by everything, at any time."""
    order, customer = an_order_id(), a_customer()
    await world.knows(customer)
    await world.append(f"order-{order}", placed(order, customer))
    await world.hear(f"order-{order}")
    return order


async def told(world: World, order: OrderId, kind: str) -> dict[str, str]:
    found = await world.sql(
        "SELECT channel, body FROM notifications WHERE order_id = %s AND kind = %s"
        " AND state = 'waiting'",
        order,
        kind,
    )
    return dict(found)


CASES: list[tuple[str, Event, str, tuple[str, ...]]] = [
    ("order", OrderConfirmed(order=OrderId("o")), "order-confirmed", ("push", "email")),
    ("order", OrderRejected(order=OrderId("o")), "order-rejected", ("push", "email")),
    (
        "plan",
        InstalmentMissed(order=OrderId("o"), number=1, amount=eur(5), code="no"),
        "instalment-missed",
        ALL,
    ),
    (
        "plan",
        InstalmentCollected(
            order=OrderId("o"), number=1, principal=eur(5), fees=eur(1), charge="c"
        ),
        "instalment-collected",
        ("email",),
    ),
    (
        "plan",
        LateFeeCharged(order=OrderId("o"), number=1, fee=eur(5), reminder=1),
        "late-fee",
        ("push", "email"),
    ),
    (
        "plan",
        PlanSettled(order=OrderId("o"), principal=eur(5), fees=eur(0), charge="c"),
        "plan-settled",
        ("email",),
    ),
    (
        "plan",
        PlanWrittenOff(order=OrderId("o"), principal=eur(5), fees=eur(0)),
        "plan-written-off",
        ("email",),
    ),
    (
        "plan",
        RefundPaid(order=OrderId("o"), return_id=ReturnId("r"), amount=eur(5), refund="r"),
        "refund-paid",
        ("push", "email"),
    ),
    (
        "shipment",
        ShipmentDispatched(order=OrderId("o"), at=NOON),
        "shipment-dispatched",
        ("push",),
    ),
    (
        "shipment",
        ShipmentDelivered(order=OrderId("o"), at=NOON),
        "shipment-delivered",
        ("push",),
    ),
    (
        "shipment",
        ShipmentLost(order=OrderId("o"), at=NOON, cause="sea"),
        "shipment-lost",
        ("push", "email"),
    ),
]


async def test_each_event_is_told_on_the_channels_of_its_kind(world: World) -> None:
    customer = a_customer()
    await world.knows(customer)
    await world.append("order-o", placed(OrderId("o"), customer))
    for stream, event, _, _ in CASES:
        await world.append(f"{stream}-o", event)
    await world.hear("order-o", "plan-o", "shipment-o")
    for _, event, kind, channels in CASES:
        assert set(await told(world, OrderId("o"), kind)) == set(channels), event


async def test_what_nobody_needs_to_hear_is_not_told(world: World, order: OrderId) -> None:
    nothing = RefundPaid(order=order, return_id=ReturnId("r"), amount=eur(0), refund="")
    await world.append(f"plan-{order}", nothing)
    await world.hear(f"plan-{order}")
    assert await world.states() == {}


def test_the_consumer_asks_for_all_that_it_tells_of() -> None:
    assert {type(event) for _, event, _, _ in CASES} <= set(CONSUMER.wants)
    assert len(CONSUMER.wants) == len(set(CONSUMER.wants))


async def test_a_message_is_in_the_customers_language(world: World) -> None:
    customer = a_customer()
    await world.knows(customer, language="de")
    await world.append("order-o", placed(OrderId("o"), customer))
    await world.append("order-o", OrderConfirmed(order=OrderId("o")))
    await world.hear("order-o")
    said = await told(world, OrderId("o"), "order-confirmed")
    assert said["push"] == "Bestellung o ist bestätigt. Danke!"


async def test_an_event_that_comes_again_is_told_once(world: World, order: OrderId) -> None:
    await world.append(f"order-{order}", OrderConfirmed(order=order))
    for _ in range(3):
        await world.hear(f"order-{order}")
    assert sorted(await world.states()) == [
        (f"order-{order}/2", "email"),
        (f"order-{order}/2", "push"),
    ]


async def test_what_is_not_sent_is_written_down_with_the_reason(world: World) -> None:
    customer = a_customer()
    await world.knows(customer, sms=None, choices={"payments": {"push": False, "email": False}})
    order = OrderId("o")
    await world.append("order-o", placed(order, customer))
    await world.append("plan-o", InstalmentMissed(order=order, number=1, amount=eur(5), code="no"))
    await world.hear("order-o", "plan-o")
    assert await world.states("state || ': ' || coalesce(reason, '')") == {
        ("plan-o/1", "push"): "withheld: turned off",
        ("plan-o/1", "sms"): "withheld: no address",
        ("plan-o/1", "email"): "waiting: ",
    }


async def test_a_customer_nobody_can_reach_stops_nothing(world: World) -> None:
    await world.append("order-o", placed(OrderId("o"), a_customer()))
    await world.append("order-o", OrderConfirmed(order=OrderId("o")))
    await world.hear("order-o")
    assert set((await world.states("reason")).values()) == {"no address"}


async def test_news_of_last_year_is_not_told(world: World, order: OrderId) -> None:
    """As when a new consumer reads the events of all time."""
    await world.append(f"order-{order}", OrderConfirmed(order=order))
    await world.hear(f"order-{order}", now=datetime.now(UTC) + timedelta(days=365))
    assert set((await world.states("state || ': ' || reason")).values()) == {"withheld: too late"}


async def test_at_night_only_what_answers_the_customer_rings(world: World) -> None:
    customer, order = a_customer(), OrderId("o")
    await world.knows(customer, quiet_from=time(22), quiet_until=time(8))
    night = datetime.combine(datetime.now(UTC).date() + timedelta(1), time(3), UTC)
    await world.append("order-o", placed(order, customer), OrderConfirmed(order=order))
    await world.append("shipment-o", ShipmentLost(order=order, at=NOON, cause="sea"))
    await world.hear("order-o", "shipment-o", now=night)
    morning = night.replace(hour=8)
    assert await world.states("due_at") == {
        ("order-o/2", "push"): night,
        ("order-o/2", "email"): night,
        ("shipment-o/1", "push"): morning,
        ("shipment-o/1", "email"): night,
    }
