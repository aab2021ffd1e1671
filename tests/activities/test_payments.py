"""Voids shut every door at the bank, each under its own key, and late charges are let go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date

import httpx
import pytest
from aiohttp import ClientSession
from temporalio.exceptions import ApplicationError

from activities.payments.activities import activities as payments_served
from activities.payments.gateway import HttpBank
from activities.shipping.activities import activities as shipping_served
from activities.shipping.gateway import HttpCarrier
from domain.payments.commands import AuthoriseDownPayment, CapturePayment, VoidPayment
from domain.shipping.commands import BookShipment, CancelShipment
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.replies import Accepted, Declined, Reply
from handrail.sagas.step_keys import StepContext, StepKey
from handrail.simulators.in_process import served
from runtime.app import HANDRAIL
from runtime.simulators.bank import create_bank
from runtime.simulators.carrier import create_carrier
from tests.activities.served_commands import runner_of
from tests.controls import a_merchant, an_order_id, eur
from tests.unencrypted import a_client, company

PRICE = eur(25_00)
AUTHORISE = "AuthoriseDownPayment"
CAPTURE = "CapturePayment"


@dataclass
class Watched(HttpBank):
    """The bank, and the voids it was asked for: their key, and what they close."""

    session: ClientSession
    client: httpx.AsyncClient
    forgets_voids: bool = False

    def __post_init__(self) -> None:
        super().__init__(company(self.session, self.client))
        self.voids: list[tuple[str, str]] = []

    async def void(self, *, key: str, subject: str, closes: str) -> Reply:
        self.voids.append((key, closes))
        if self.forgets_voids and not key.endswith("/late"):
            return Accepted(reference="forgotten")
        return await super().void(key=key, subject=subject, closes=closes)

    async def states(self) -> list[str]:
        ledger = (await self.client.get("/ledger")).json()
        return [one["state"] for one in ledger["authorisations"]]


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with open_pool(database, role="handrail_app") as pool:
        yield EventStore(pool, HANDRAIL.codec)


@pytest.fixture
async def bank(session: ClientSession) -> AsyncIterator[Watched]:
    async with (
        served(create_bank(None)) as address,
        a_client(address) as client,
    ):
        yield Watched(session, client)


def asked(order: str, step: str, *, closes: tuple[str, ...] = ()) -> StepContext:
    key = StepKey(
        saga=order,
        attempt=1,
        step=step,
        direction="undo" if closes else "do",
        opened_on=date(2026, 3, 2),
    )
    return StepContext(key=key, actor="tests", closes=closes)


async def test_a_void_closes_the_capture_too_when_that_was_asked(
    store: EventStore, bank: Watched
) -> None:
    payments, order = runner_of(payments_served(store, bank)), an_order_id()
    authorise = AuthoriseDownPayment(order=order, amount=PRICE, card="card_ok")
    await payments(authorise, asked(order, AUTHORISE))
    void = asked(order, AUTHORISE, closes=(AUTHORISE, CAPTURE))
    assert (await payments(VoidPayment(order=order), void)).outcome == "PaymentVoided"
    assert bank.voids == [
        (f"{order}/1/{AUTHORISE}/undo", f"{order}/1/{AUTHORISE}/do"),
        (f"{order}/1/{CAPTURE}/undo", f"{order}/1/{CAPTURE}/do"),
    ]
    late = await bank.capture(key=f"{order}/1/{CAPTURE}/do", order=order, amount=PRICE)
    assert late == Declined(code="voided")


async def test_a_void_that_the_bank_declines_is_no_void(store: EventStore, bank: Watched) -> None:
    payments, order = runner_of(payments_served(store, bank)), an_order_id()
    authorise = AuthoriseDownPayment(order=order, amount=PRICE, card="card_void_declined")
    await payments(authorise, asked(order, AUTHORISE))
    void = asked(order, AUTHORISE, closes=(AUTHORISE, CAPTURE))
    with pytest.raises(ApplicationError, match="void_declined"):
        await payments(VoidPayment(order=order), void)


async def test_a_bank_that_forgets_a_void_is_told_again_when_the_charge_comes_late(
    store: EventStore, bank: Watched
) -> None:
    payments, order = runner_of(payments_served(store, bank)), an_order_id()
    bank.forgets_voids = True
    await payments(VoidPayment(order=order), asked(order, AUTHORISE, closes=(AUTHORISE,)))
    authorise = AuthoriseDownPayment(order=order, amount=PRICE, card="card_ok")
    with pytest.raises(ApplicationError) as closed:
        await payments(authorise, asked(order, AUTHORISE))
    assert closed.value.type == "StepClosed"
    assert await bank.states() == ["voided"]


async def test_a_bank_that_forgets_a_void_refunds_a_capture_that_comes_late(
    store: EventStore, bank: Watched
) -> None:
    payments, order = runner_of(payments_served(store, bank)), an_order_id()
    bank.forgets_voids = True
    authorise = AuthoriseDownPayment(order=order, amount=PRICE, card="card_ok")
    await payments(authorise, asked(order, AUTHORISE))
    void = asked(order, AUTHORISE, closes=(AUTHORISE, CAPTURE))
    await payments(VoidPayment(order=order), void)
    with pytest.raises(ApplicationError) as closed:
        await payments(CapturePayment(order=order, amount=PRICE), asked(order, CAPTURE))
    assert closed.value.type == "StepClosed"
    assert await bank.states() == ["refunded"]


async def test_a_cancellation_closes_the_booking_it_takes_back(
    store: EventStore, session: ClientSession
) -> None:
    async with (
        served(create_carrier(None)) as address,
        a_client(address) as client,
    ):
        order, carrier = an_order_id(), HttpCarrier(company(session, client))
        shipments = runner_of(shipping_served(store, carrier))
        book = BookShipment(order=order, merchant=a_merchant(), ship_to="addr_ok", parcels=1)
        await shipments(book, asked(order, "BookShipment"))
        cancel = asked(order, "BookShipment", closes=("BookShipment",))
        answer = await shipments(CancelShipment(order=order), cancel)
        assert answer.outcome == "ShipmentCancelled"
        [booking] = (await client.get("/ledger")).json()["bookings"]
        assert booking["state"] == "cancelled"
