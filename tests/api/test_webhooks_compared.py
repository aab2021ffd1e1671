"""What bank and carrier tell is compared with our own books before it is believed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.payments.commands import (
    AuthoriseDownPayment,
    CapturePayment,
    CollectInstalment,
    OpenPlan,
)
from domain.shipping.commands import BookShipment, RecordDelivery, RecordLoss
from handrail.kernel import Money
from tests.api.conftest import House
from tests.api.listening import Listens
from tests.api.shop import problem
from tests.api.test_webhooks import (
    AT,
    EUR_50,
    TRUST,
    a_delivery,
    an_id,
    an_order,
    dispute,
    kept,
    parcel,
    tell,
)


@pytest.fixture(scope="module")
async def deliveries(house: House) -> AsyncIterator[str]:
    """The task queue of somebody who listens."""
    queue = f"deliveries-{uuid4().hex}"
    async with Worker(
        house.temporal,
        task_queue=queue,
        workflows=[Listens],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield queue


@pytest.fixture(scope="module")
async def hooks(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """An API that believes bank and carrier."""
    async with house.api(webhooks_from=TRUST) as client:
        yield client


async def a_booking(house: House, order: str) -> str:
    """Of a parcel that nobody but the test tells of: what the carrier calls it."""
    processes = house.processes
    asked = BookShipment(
        order=OrderId(order),
        merchant=MerchantId("m"),
        ship_to="addr_parcel_undispatched",
        parcels=1,
    )
    await processes.do(asked, key=order, actor="test")
    [(booking,)] = await house.sql(
        "SELECT data->>'booking' FROM events WHERE stream = %s", f"shipment-{order}"
    )
    return str(booking)


async def test_a_notice_about_another_booking_is_kept_for_a_person(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    booking = await a_booking(house, order)
    async with a_delivery(house, deliveries, order, 1) as delivery:
        wrong = await tell(hooks, parcel(order, "delivered", booking="b-of-another"), id_=id_)
        problem(wrong, 404, "webhook-subject-unknown")
        assert await kept(house, id_) == [("unknown", "webhook-subject-unknown")]
        assert (await tell(hooks, parcel(order, booking=booking))).status_code == 202
        [heard] = await delivery.result()
    assert heard.kind == "dispatched"


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (RecordLoss(order=OrderId(""), at=AT, cause="fire"), "delivered"),
        (RecordDelivery(order=OrderId(""), at=AT), "lost"),
    ],
    ids=["delivered after it was lost", "lost after it was delivered"],
)
async def test_a_notice_that_contradicts_how_it_ended_is_kept_for_a_person(
    house: House,
    hooks: httpx.AsyncClient,
    deliveries: str,
    ended: RecordLoss | RecordDelivery,
    told: str,
) -> None:
    order, id_ = an_order(), an_id()
    booking = await a_booking(house, order)
    processes = house.processes
    await processes.do(replace(ended, order=OrderId(order)), key=order, actor="test")
    async with a_delivery(house, deliveries, order, 1) as delivery:
        problem(
            await tell(hooks, parcel(order, told, booking=booking), id_=id_), 409, "out-of-order"
        )
        assert await delivery.query(Listens.heard) == []
    assert await kept(house, id_) == [("unknown", "out-of-order")]


async def test_a_dispute_of_more_than_was_taken_is_kept_for_a_person(
    house: House, hooks: httpx.AsyncClient
) -> None:
    order, amount = an_order(), Money(**EUR_50)
    bank = house.processes
    of: dict[str, Any] = {"order": OrderId(order), "amount": amount}
    await bank.do(AuthoriseDownPayment(**of, card="card_ok"), key=order, actor="test")
    await bank.do(CapturePayment(**of), key=order, actor="test")
    more, foreign = EUR_50 | {"amount": 50_01}, EUR_50 | {"currency": "USD"}
    first, second = an_id(), an_id()
    answer = await tell(hooks, dispute(order, more), id_=first, source="bank")
    problem(answer, 409, "out-of-order")
    answer = await tell(hooks, dispute(order, foreign), id_=second, source="bank")
    problem(answer, 422, "wrong-currency")
    assert await kept(house, first) == [("unknown", "out-of-order")]
    assert await kept(house, second) == [("unknown", "wrong-currency")]
    # What instalments brought may be disputed, too.
    plan: dict[str, Any] = {"order": OrderId(order), "card": "card_ok"}
    opened = OpenPlan(
        **plan, customer=CustomerId("c"), financed=amount, instalments=2, first_due=AT.date()
    )
    await bank.do(opened, key=order, actor="test")
    paid = CollectInstalment(**plan, number=1, amount=Money(25_00, "EUR"))
    await bank.do(paid, key=order, actor="test")
    assert (await tell(hooks, dispute(order, more), source="bank")).status_code == 202


async def test_a_dispute_about_no_order_of_ours_is_kept(
    house: House, hooks: httpx.AsyncClient
) -> None:
    id_ = an_id()
    answer = await tell(hooks, dispute(an_order()), id_=id_, source="bank")
    problem(answer, 404, "webhook-subject-unknown")
    assert await kept(house, id_) == [("unknown", "webhook-subject-unknown")]
