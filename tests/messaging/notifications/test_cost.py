"""What an event costs that is told, and a message that is sent: statements, on every machine."""

from __future__ import annotations

import pytest

from domain.identifiers import OrderId
from domain.ordering.events import OrderConfirmed
from domain.shipping.events import ShipmentDispatched
from tests.controls import NOON
from tests.messaging.notifications.world import World
from tests.projections.stories import placed
from tests.projections.world import until
from tests.statements import statements_of


@pytest.fixture
def statements(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement of the application, and none of the owner."""
    return statements_of(world.url, monkeypatch, but=world.owner)


async def test_an_event_is_told_with_two_statements(world: World, statements: list[str]) -> None:
    """Who is it, and the messages of all channels."""
    await world.knows("customer-1")
    await world.append("order-o", placed(OrderId("o")), OrderConfirmed(order=OrderId("o")))
    await world.append("shipment-o", ShipmentDispatched(order=OrderId("o"), at=NOON))
    await world.hear("order-o")
    statements.clear()
    await world.hear("shipment-o")
    assert len(statements) == 2


@pytest.mark.thorough
async def test_what_is_sent_together_is_taken_and_noted_together(
    world: World, statements: list[str]
) -> None:
    await world.knows("many", email="to_late_0.05")
    await world.sql(
        "INSERT INTO notifications (lane, source, channel, kind, customer, language, subject,"
        " body, state, due_at)"
        " SELECT 'transactional', 'm-' || n, 'email', 'order-confirmed', 'many', 'en', 's', 'b',"
        " 'waiting', now() FROM generate_series(1, 320) AS n"
    )
    async with world.notifying(poll=10):
        await until(world.nothing_waits)
    assert set((await world.states()).values()) == {"sent"}
    assert len(statements) <= 320, "less than one for each message"
