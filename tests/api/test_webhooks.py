"""Webhooks at the real API: who is believed, what a message does, and what is kept of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.client import WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.identifiers import OrderId
from domain.payments.commands import AuthoriseDownPayment, CapturePayment
from handrail.http import webhook_store
from handrail.http.dependencies import WebhookTrust
from handrail.http.middleware import MAX_BODY
from handrail.kernel import Money
from handrail.processes.api import lazy_client
from handrail.simulators.in_process import served
from handrail.simulators.webhook_sender import Target
from handrail.webhook_signatures import new_secret, sign
from runtime.app import HANDRAIL
from runtime.simulators.carrier import create_carrier
from tests.api.conftest import House
from tests.api.listening import Listens
from tests.api.shop import eventually, problem
from tests.api.test_addressed import Stranger, a_stranger
from tests.api.test_unavailable import nobody_listens
from tests.unencrypted import a_client
from workflows.carrier_notice import CarrierNotice

NEW, OLD, BANKS = new_secret(), new_secret(), new_secret()
TRUST = WebhookTrust({"carrier": (NEW, OLD), "bank": (BANKS,)}, tolerance_seconds=60)
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
EUR_50: dict[str, Any] = {"amount": 50_00, "currency": "EUR"}


Delivery = WorkflowHandle[Listens, list[CarrierNotice]]


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


@asynccontextmanager
async def a_delivery(
    house: House, queue: str, order: str, wanted: int = 2
) -> AsyncIterator[Delivery]:
    handle: Delivery = await house.temporal.start_workflow(
        Listens.run, wanted, id=f"delivery-{order}", task_queue=queue
    )
    yield handle
    if (await handle.describe()).close_time is None:
        await handle.terminate()


@pytest.fixture(scope="module")
async def hooks(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """An API that believes bank and carrier."""
    async with house.api(webhooks_from=TRUST) as client:
        yield client


def an_id() -> str:
    return f"msg_{uuid4().hex}"


def an_order() -> str:
    return f"ord-{uuid4().hex}"


def parcel(order: str, what: str = "dispatched", **more: Any) -> bytes:
    data = {"order": order, "booking": "b-1", "at": AT.isoformat(), **more}
    return json.dumps({"type": f"parcel.{what}", "data": data}).encode()


def dispute(order: str, amount: Any = EUR_50, name: str = "d-1", **more: Any) -> bytes:
    data = {"order": order, "dispute": name, "amount": amount, **more}
    return json.dumps({"type": "payment.disputed", "data": data}).encode()


def signed(id_: str, body: bytes, secret: str = NEW, *, off: int = 0) -> dict[str, str]:
    now = int(time.time()) + off
    return {
        "Content-Type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, id_, now, body),
    }


async def tell(
    hooks: httpx.AsyncClient,
    body: bytes,
    *,
    id_: str | None = None,
    source: str = "carrier",
    secret: str | None = None,
) -> httpx.Response:
    secret = secret or (NEW if source == "carrier" else BANKS)
    headers = signed(id_ or an_id(), body, secret)
    return await hooks.post(f"/webhooks/{source}", content=body, headers=headers)


async def kept(house: House, id_: str) -> list[tuple[str, str | None]]:
    found = await house.sql("SELECT status, problem FROM webhooks WHERE id = %s", id_)
    return [(status, said and said.partition(":")[0]) for status, said in found]


@pytest.mark.parametrize("secret", [NEW, OLD], ids=["newest", "older"])
async def test_a_notice_reaches_the_delivery_of_its_order(
    house: House, hooks: httpx.AsyncClient, deliveries: str, secret: str
) -> None:
    order, id_ = an_order(), an_id()
    async with a_delivery(house, deliveries, order, 1) as delivery:
        answer = await tell(hooks, parcel(order, "lost", cause="fire"), id_=id_, secret=secret)
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted"), answer.text
        heard = await house.personal.open(await delivery.result())
    assert heard == [CarrierNotice(id_, "lost", AT, "fire")]
    [(type_, of, status)] = await house.sql(
        "SELECT type, order_id, status FROM webhooks WHERE source = 'carrier' AND id = %s", id_
    )
    assert (type_, of, status) == ("parcel.lost", order, "accepted")


async def test_every_kind_of_notice_has_its_name(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order = an_order()
    async with a_delivery(house, deliveries, order, 3) as delivery:
        for what in ("dispatched", "delivered", "lost"):
            assert (await tell(hooks, parcel(order, what))).status_code == 202
        heard = await delivery.result()
    assert [one.kind for one in heard] == ["dispatched", "delivered", "lost"]


async def test_what_was_accepted_is_answered_the_same_and_not_told_again(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    async with a_delivery(house, deliveries, order) as delivery:
        first = await tell(hooks, parcel(order), id_=id_)
        again = await tell(hooks, parcel(order), id_=id_)
        retried = await hooks.post(f"/webhooks/carrier/{id_}/retry")
        assert (await tell(hooks, parcel(order, "delivered"))).status_code == 202
        heard = await delivery.result()
    assert first.status_code == again.status_code == retried.status_code == 202
    assert first.json() == again.json() == retried.json()
    assert [one.kind for one in heard] == ["dispatched", "delivered"]


async def test_an_id_that_came_with_another_body_is_refused(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    async with a_delivery(house, deliveries, order) as delivery:
        assert (await tell(hooks, parcel(order), id_=id_)).status_code == 202
        problem(await tell(hooks, parcel(order, "lost"), id_=id_), 409, "content-differs")
        assert [one.kind for one in await delivery.query(Listens.heard)] == ["dispatched"]
    assert await kept(house, id_) == [("accepted", None)]


async def test_the_ids_of_bank_and_carrier_are_apart(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    noted = json.dumps({"type": "payout.paid", "data": {"payout": "p-1"}}).encode()
    async with a_delivery(house, deliveries, order, 1):
        assert (await tell(hooks, parcel(order), id_=id_)).status_code == 202
        assert (await tell(hooks, noted, id_=id_, source="bank")).status_code == 202
    assert await kept(house, id_) == [("accepted", None)] * 2


async def test_an_unknown_parcel_is_kept_and_can_be_tried_again(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    problem(await tell(hooks, parcel(order), id_=id_), 404, "webhook-subject-unknown")
    assert await kept(house, id_) == [("unknown", "webhook-subject-unknown")]
    problem(await hooks.post(f"/webhooks/carrier/{id_}/retry"), 404, "webhook-subject-unknown")
    async with a_delivery(house, deliveries, order, 1) as delivery:
        retried = await hooks.post(f"/webhooks/carrier/{id_}/retry")
        assert retried.status_code == 202, retried.text
        [heard] = await delivery.result()
    assert heard.id == id_
    assert await kept(house, id_) == [("accepted", None)]


async def test_a_workflow_that_is_no_delivery_is_told_nothing(
    house: House, hooks: httpx.AsyncClient
) -> None:
    order = an_order()
    async with a_stranger(house, f"delivery-{order}") as stranger:
        problem(await tell(hooks, parcel(order)), 404, "webhook-subject-unknown")
        assert await stranger.query(Stranger.told) == []


async def test_what_was_not_accepted_is_tried_again_when_it_is_sent_again(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    assert (await tell(hooks, parcel(order), id_=id_)).status_code == 404
    async with a_delivery(house, deliveries, order, 1) as delivery:
        assert (await tell(hooks, parcel(order), id_=id_)).status_code == 202
        [heard] = await delivery.result()
    assert heard.id == id_
    assert await kept(house, id_) == [("accepted", None)]


async def test_a_notice_that_comes_after_the_end_is_kept_for_a_person(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    async with a_delivery(house, deliveries, order, 1) as delivery:
        assert (await tell(hooks, parcel(order, "delivered"))).status_code == 202
        await delivery.result()
    problem(await tell(hooks, parcel(order, "lost"), id_=id_), 409, "out-of-order")
    assert await kept(house, id_) == [("unknown", "out-of-order")]


async def test_without_temporal_a_message_waits_until_it_is_sent_again(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    with nobody_listens() as port:
        nowhere = await lazy_client(f"127.0.0.1:{port}", "default", HANDRAIL.codec)
        async with house.api(temporal=nowhere, webhooks_from=TRUST) as cut_off:
            away = await tell(cut_off, parcel(order), id_=id_)
    problem(away, 503, "temporal-unavailable")
    assert int(away.headers["Retry-After"]) > 0
    assert await kept(house, id_) == [("waiting", "temporal-unavailable")]
    async with a_delivery(house, deliveries, order, 1) as delivery:
        assert (await tell(hooks, parcel(order), id_=id_)).status_code == 202
        assert [one.id for one in await delivery.result()] == [id_]
    assert await kept(house, id_) == [("accepted", None)]


async def test_who_died_before_the_effect_is_followed_by_the_next_try(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    await house.sql(
        "INSERT INTO webhooks (source, id, type, order_id, body, status)"
        " VALUES ('carrier', %s, 'parcel.dispatched', %s, %s, 'waiting')",
        id_,
        order,
        parcel(order),
    )
    async with a_delivery(house, deliveries, order, 1) as delivery:
        assert (await tell(hooks, parcel(order), id_=id_)).status_code == 202
        assert [one.id for one in await delivery.result()] == [id_]


async def test_what_comes_twice_at_once_is_accepted_once(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order, id_ = an_order(), an_id()
    async with a_delivery(house, deliveries, order, 100) as delivery:
        answers = await asyncio.gather(*(tell(hooks, parcel(order), id_=id_) for _ in range(5)))
        heard = await delivery.query(Listens.heard)
    assert {answer.status_code for answer in answers} == {202}
    assert {one.id for one in heard} == {id_}, "who listens knows the id"
    assert await kept(house, id_) == [("accepted", None)]


async def test_a_late_no_does_not_undo_an_accepted_message(house: House) -> None:
    id_ = an_id()
    async with house.engine.connect() as connection:
        await webhook_store.keep(connection, "bank", id_, type_="any", subject=None, body=b"any")
        for status in ("accepted", "unknown"):
            await webhook_store.settle(connection, "bank", id_, status, None)
    assert await kept(house, id_) == [("accepted", None)]


BODY = parcel("ord-1")
UNSIGNED: dict[str, tuple[dict[str, str], str, str]] = {
    "no id": ({"webhook-id": ""}, "webhook-unsigned", "webhook-id"),
    "an id with a full stop": ({"webhook-id": "a.b"}, "webhook-unsigned", "webhook-id"),
    "no number": ({"webhook-timestamp": "now"}, "webhook-unsigned", "webhook-timestamp"),
    "no comma": ({"webhook-signature": "v1"}, "webhook-unsigned", "webhook-signature"),
    "two commas": ({"webhook-signature": "v1,a,b"}, "webhook-unsigned", "webhook-signature"),
    "no base64": ({"webhook-signature": "v1,!"}, "webhook-signature-wrong", ""),
    "another version": ({"webhook-signature": "v1a,YQ=="}, "webhook-signature-wrong", ""),
    "another id": ({"webhook-id": "msg_2"}, "webhook-signature-wrong", ""),
    "another time": ({"webhook-timestamp": "1"}, "webhook-signature-wrong", ""),
    "another secret": (signed("msg_1", BODY, new_secret()), "webhook-signature-wrong", ""),
    "the secret of the bank": (signed("msg_1", BODY, BANKS), "webhook-signature-wrong", ""),
    "too old": (signed("msg_1", BODY, off=-3600), "webhook-stale", ""),
    "from the future": (signed("msg_1", BODY, off=3600), "webhook-stale", ""),
}


@pytest.mark.parametrize("name", UNSIGNED)
async def test_who_does_not_sign_is_not_believed(
    house: House, hooks: httpx.AsyncClient, name: str
) -> None:
    changes, slug, header = UNSIGNED[name]
    headers = signed("msg_1", BODY) | changes
    found = problem(await hooks.post("/webhooks/carrier", content=BODY, headers=headers), 401, slug)
    assert [one["header"] for one in found.get("errors", [])] == [header] * bool(header)
    assert await house.sql("SELECT 1 FROM webhooks WHERE id IN ('msg_1', 'msg_2', 'a.b')") == []


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_a_header_that_is_missing_is_named(hooks: httpx.AsyncClient, header: str) -> None:
    headers = {name: value for name, value in signed("msg_1", BODY).items() if name != header}
    answer = await hooks.post("/webhooks/carrier", content=BODY, headers=headers)
    found = problem(answer, 401, "webhook-unsigned")
    assert [one["header"] for one in found["errors"]] == [header]


async def test_a_body_is_verified_as_it_was_sent(house: House, hooks: httpx.AsyncClient) -> None:
    headers = signed("msg_1", BODY)
    spaced = BODY.replace(b": ", b":")
    answer = await hooks.post("/webhooks/carrier", content=spaced, headers=headers)
    problem(answer, 401, "webhook-signature-wrong")


async def test_a_body_that_is_too_large_is_not_kept(house: House, hooks: httpx.AsyncClient) -> None:
    id_, body = an_id(), b" " * (MAX_BODY + 1)
    problem(await tell(hooks, body, id_=id_), 413, "body-too-large")
    assert await kept(house, id_) == []


@pytest.mark.parametrize("source", ["bank", "carrier"])
async def test_without_a_secret_nobody_is_believed_and_the_variable_is_named(
    api: httpx.AsyncClient, source: str
) -> None:
    answer = await tell(api, BODY, source=source, secret=new_secret())
    found = problem(answer, 503, "webhook-secret-missing")
    variable = found["detail"].partition(" ")[0]
    assert variable.removeprefix("HANDRAIL_").lower() in HANDRAIL.settings.model_fields


NOT_UNDERSTOOD = {
    "no JSON": (b"{", "", "#"),
    "not UTF-8": (b'{"type": "\xff"}', "", "#"),
    "a list": (b"[]", "", "#"),
    "no type": (b'{"data": {}}', "", "#/type"),
    "no data": (b'{"type": "parcel.lost"}', "", "#/data"),
    "another type": (b'{"type": "parcel.eaten", "data": {}}', "parcel.eaten", "#/type"),
    "one of the bank": (dispute("ord-1"), "payment.disputed", "#/type"),
    "no order": (
        b'{"type": "parcel.lost", "data": {"booking": "b", "at": "2026-03-02T12:00:00Z"}}',
        "parcel.lost",
        "#/data/order",
    ),
    "an order that is none": (parcel("a b"), "parcel.dispatched", "#/data/order"),
    "a time without a zone": (
        parcel("ord-1", at="2026-03-02T12:00:00"),
        "parcel.dispatched",
        "#/data/at",
    ),
}


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
async def test_what_is_signed_and_not_understood_is_kept_as_it_came(
    house: House, hooks: httpx.AsyncClient, name: str
) -> None:
    (body, type_, where), id_ = NOT_UNDERSTOOD[name], an_id()
    found = problem(await tell(hooks, body, id_=id_), 422, "webhook-not-understood")
    assert [one["pointer"] for one in found["errors"]] == [where]
    stored = await house.sql("SELECT type, body, status FROM webhooks WHERE id = %s", id_)
    assert stored == [(type_, body, "unknown")]
    problem(await hooks.post(f"/webhooks/carrier/{id_}/retry"), 422, "webhook-not-understood")


async def test_a_sender_may_add_fields(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order = an_order()
    async with a_delivery(house, deliveries, order, 1) as delivery:
        assert (await tell(hooks, parcel(order, depot="north"))).status_code == 202
        await delivery.result()


async def test_a_dispute_is_an_event_of_the_payment_once(
    house: House, hooks: httpx.AsyncClient
) -> None:
    order, amount = an_order(), Money(**EUR_50)
    bank = house.processes
    of: dict[str, Any] = {"order": OrderId(order), "amount": amount}
    early = await tell(hooks, dispute(order), source="bank")
    await bank.do(AuthoriseDownPayment(**of, card="card_ok"), key=order, actor="test")
    not_yet = await tell(hooks, dispute(order), source="bank")
    await bank.do(CapturePayment(**of), key=order, actor="test")
    id_ = an_id()
    for name, message in (("d-1", id_), ("d-1", id_), ("d-1", an_id())):
        answer = await tell(hooks, dispute(order, EUR_50, name), id_=message, source="bank")
        assert answer.status_code == 202, answer.text
    found = await house.sql(
        "SELECT data->>'dispute', data->'amount', metadata->>'actor' FROM events"
        " WHERE stream = %s AND type = 'PaymentDisputed'",
        f"payment-{order}",
    )
    assert found == [("d-1", EUR_50, "bank")]
    problem(early, 404, "webhook-subject-unknown")
    problem(not_yet, 409, "out-of-order")


@pytest.mark.parametrize("type_", ["payment.captured", "payment.refunded", "payout.paid"])
async def test_what_our_books_say_already_is_only_kept(
    house: House, hooks: httpx.AsyncClient, type_: str
) -> None:
    id_, order = an_id(), an_order()
    body = json.dumps({"type": type_, "data": {"order": order}}).encode()
    assert (await tell(hooks, body, id_=id_, source="bank")).status_code == 202
    assert await kept(house, id_) == [("accepted", None)]
    assert await house.sql("SELECT 1 FROM streams WHERE name LIKE %s", f"%-{order}") == []


async def test_one_can_be_looked_at(house: House, hooks: httpx.AsyncClient) -> None:
    order, id_ = an_order(), an_id()
    await tell(hooks, parcel(order), id_=id_)
    found = (await hooks.get(f"/webhooks/carrier/{id_}")).json()
    assert found["body"] == parcel(order).decode()
    assert (found["type"], found["order"], found["status"]) == (
        "parcel.dispatched",
        order,
        "unknown",
    )
    assert found["problem"].startswith("webhook-subject-unknown: ")
    assert (await hooks.get(found["links"]["webhook"])).json() == found
    problem(await hooks.get(f"/webhooks/bank/{id_}"), 404, "not-found")
    problem(await hooks.post(f"/webhooks/bank/{id_}/retry"), 404, "not-found")


async def test_they_are_listed_newest_first_page_by_page(
    house: House, hooks: httpx.AsyncClient
) -> None:
    unknown = [an_id() for _ in range(5)]
    for id_ in unknown:
        await tell(hooks, parcel(an_order()), id_=id_)
    noted = an_id()
    body = json.dumps({"type": "payout.paid", "data": {}}).encode()
    await tell(hooks, body, id_=noted, source="bank")
    [newest] = (await hooks.get("/webhooks", params={"limit": 1})).json()["items"]
    assert (newest["id"], newest["source"], newest["status"]) == (noted, "bank", "accepted")
    assert "body" not in newest
    found: list[str] = []
    first = address = "/webhooks?status=unknown&source=carrier&limit=2"
    while len(found) < len(unknown):
        page = (await hooks.get(address)).json()
        found += [one["id"] for one in page["items"]]
        address = page["next"] or first
    assert found[: len(unknown)] == unknown[::-1]
    cursor = httpx.URL((await hooks.get(first)).json()["next"]).params["cursor"]
    other = await hooks.get("/webhooks", params={"status": "waiting", "cursor": cursor})
    problem(other, 400, "bad-cursor")
    problem(await hooks.get("/webhooks?status=lost"), 422, "invalid-request")


async def test_what_the_simulated_carrier_tells_reaches_a_delivery_that_begins_later(
    house: House, hooks: httpx.AsyncClient, deliveries: str
) -> None:
    order = an_order()
    target = Target(str(hooks.base_url.join("/webhooks/carrier")), NEW)
    asked = {"order": order, "merchant": "m", "ship_to": "addr_parcel_twice", "parcels": 1}
    async with (
        served(create_carrier(None, target)) as address,
        a_client(address) as carrier,
    ):
        await carrier.post("/timetable", json={"dispatch_after": 0, "deliver_after": 0})
        booked = await carrier.post("/bookings", json=asked, headers={"Idempotency-Key": order})

        async def refused() -> list[tuple[Any, ...]]:
            query = "SELECT 1 FROM webhooks WHERE order_id = %s AND status = 'unknown'"
            return await house.sql(query, order)

        await eventually(refused, "a webhook before there is a delivery")
        async with a_delivery(house, deliveries, order, 100) as delivery:

            async def ended() -> bool:
                heard = await delivery.query(Listens.heard)
                return {one.kind for one in heard} == {"dispatched", "delivered"}

            await eventually(ended, "the delivery hears of both")
    assert booked.status_code == 201
