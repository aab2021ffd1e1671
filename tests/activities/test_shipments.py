"""A booking replaces what was asked before it, and what the carrier reports is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date

import httpx
import pytest
from aiohttp import ClientSession
from temporalio.exceptions import ApplicationError

from activities.shipping.activities import activities
from activities.shipping.gateway import HttpCarrier
from domain.shipping.commands import BookShipment, RecordDelivery, RecordDispatch
from domain.shipping.events import ShipmentBooked, ShipmentDelivered, ShipmentDispatched
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.kernel import Event
from handrail.sagas.step_keys import StepContext, StepKey
from handrail.simulators.in_process import served
from runtime.app import HANDRAIL
from runtime.simulators.carrier import create_carrier
from tests.activities.served_commands import runner_of
from tests.controls import NOON, a_merchant, an_order_id
from tests.unencrypted import a_client, company

BOOK = "BookShipment"


@dataclass
class Desk:
    store: EventStore
    session: ClientSession
    client: httpx.AsyncClient

    def __post_init__(self) -> None:
        self.order = an_order_id()
        self.carrier = HttpCarrier(company(self.session, self.client))
        self.shipments = runner_of(activities(self.store, self.carrier))

    def key(self, *, attempt: int = 1, ask: int = 1, step: str = BOOK) -> StepKey:
        opened_on = date(2026, 3, 2)
        return StepKey(saga=self.order, attempt=attempt, step=step, opened_on=opened_on, ask=ask)

    def to(self, ship_to: str) -> BookShipment:
        return BookShipment(order=self.order, merchant=a_merchant(), ship_to=ship_to, parcels=1)

    async def books_unheard(self, key: StepKey, ship_to: str) -> None:
        """The carrier books, and its answer never reaches our books."""
        await self.carrier.book(
            key=str(key), order=self.order, merchant="m", ship_to=ship_to, parcels=1
        )

    async def bookings(self) -> list[tuple[str, str]]:
        found = (await self.client.get("/ledger")).json()["bookings"]
        return [(one["key"], one["state"]) for one in found]

    async def told(self) -> list[type[Event]]:
        stream = f"shipment-{self.order}"
        return [type(event) for event in (await self.store.load({stream: 0}))[stream].events]


@pytest.fixture
async def desk(database: str, session: ClientSession) -> AsyncIterator[Desk]:
    async with (
        open_pool(database, role="handrail_app") as pool,
        served(create_carrier(None)) as address,
        a_client(address) as client,
    ):
        yield Desk(EventStore(pool, HANDRAIL.codec), session, client)


async def test_a_corrected_booking_cancels_the_one_it_replaces(desk: Desk) -> None:
    first, second = desk.key(), desk.key(ask=2)
    await desk.books_unheard(first, "addr_ok")

    corrected = StepContext(key=second, actor="tests", closes=(BOOK,))
    answer = await desk.shipments(desk.to("addr_ok"), corrected)

    assert answer.outcome == "ShipmentBooked"
    assert await desk.bookings() == [(str(first), "cancelled"), (str(second), "booked")]


async def test_a_later_attempt_cancels_what_an_earlier_one_may_have_booked(desk: Desk) -> None:
    first, second = desk.key(), desk.key(attempt=2)
    await desk.books_unheard(first, "addr_ok")

    later = StepContext(key=second, actor="tests", supersedes=(first,))
    await desk.shipments(desk.to("addr_ok"), later)

    assert await desk.bookings() == [(str(first), "cancelled"), (str(second), "booked")]


async def test_nothing_is_booked_beside_what_the_carrier_does_not_cancel(desk: Desk) -> None:
    first = desk.key()
    await desk.books_unheard(first, "addr_cancel_declined")

    corrected = StepContext(key=desk.key(ask=2), actor="tests", closes=(BOOK,))
    with pytest.raises(ApplicationError, match="cancel_declined"):
        await desk.shipments(desk.to("addr_cancel_declined"), corrected)

    assert await desk.bookings() == [(str(first), "booked")]


async def test_what_the_carrier_reports_is_kept(desk: Desk) -> None:
    await desk.shipments(desk.to("addr_ok"), StepContext(key=desk.key(), actor="tests"))
    for report in (
        RecordDispatch(order=desk.order, at=NOON),
        RecordDelivery(order=desk.order, at=NOON),
    ):
        key = desk.key(step=type(report).__name__)
        await desk.shipments(report, StepContext(key=key, actor="carrier", alone=True))

    assert await desk.told() == [ShipmentBooked, ShipmentDispatched, ShipmentDelivered]
