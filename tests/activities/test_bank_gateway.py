"""The bank's port over real HTTP: what it charges, and what it tells when nothing is certain."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from activities.payments.gateway import Bank, HttpBank
from handrail.activities.http_gateway import (
    HttpGateway,
    OutsideAnswerUnreadable,
    OutsideKeyReused,
    OutsideUnavailable,
)
from handrail.kernel import Money
from handrail.replies import Accepted, Declined
from handrail.simulators.in_process import served
from runtime.simulators.bank import create_bank
from tests.unencrypted import a_client, company

ORDER = "order-7"
PRICE = Money(2500, "EUR")
DO, CAPTURE, UNDO = f"{ORDER}/1/authorise/do", f"{ORDER}/1/capture/do", f"{ORDER}/1/authorise/undo"
DO_2, CAPTURE_2 = f"{ORDER}/2/authorise/do", f"{ORDER}/2/capture/do"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(create_bank(tmp_path / "bank.jsonl")) as address,
        a_client(address) as client,
    ):
        yield client


@pytest.fixture
def bank(session: ClientSession, client: httpx.AsyncClient) -> Bank:
    return HttpBank(company(session, client))


@pytest.fixture
def hasty(session: ClientSession, client: httpx.AsyncClient) -> Bank:
    return HttpBank(company(session, client, read_seconds=0.05))


async def ledger(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/ledger")).json()
    return found


async def states(client: httpx.AsyncClient) -> list[str]:
    return [one["state"] for one in (await ledger(client))["authorisations"]]


async def authorise(bank: Bank, card: str, key: str = DO) -> Accepted | Declined:
    return await bank.authorise(key=key, order=ORDER, amount=PRICE, card=card)


async def test_the_same_key_again_charges_once_and_gets_the_same_answer(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    first = await authorise(bank, "card_ok")
    assert isinstance(first, Accepted)
    assert await authorise(bank, "card_ok") == first
    captured = await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    assert await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE) == captured
    assert await ledger(client) == {
        "authorisations": [
            {
                "order": ORDER,
                "key": DO,
                "amount": 2500,
                "currency": "EUR",
                "reference": first.reference,
                "state": "captured",
            }
        ],
        "charges": [],
        "refunds": [],
        "payouts": [],
        "held": {},
        "captured": {"EUR": 2500},
        "refunded": {},
    }


async def test_the_same_key_at_the_same_time_charges_once(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    replies = await asyncio.gather(*(authorise(bank, "card_late_0.1") for _ in range(20)))
    assert len(set(replies)) == 1
    assert (await ledger(client))["held"] == {"EUR": 2500}


async def test_the_same_key_with_another_amount_can_never_be_served(bank: Bank) -> None:
    await authorise(bank, "card_ok")
    with pytest.raises(OutsideKeyReused) as refused:
        await bank.authorise(key=DO, order=ORDER, amount=Money(1, "EUR"), card="card_ok")
    assert refused.value.non_retryable
    assert refused.value.type == "OutsideKeyReused"


async def test_the_same_key_for_another_kind_of_request_can_never_be_served(bank: Bank) -> None:
    await authorise(bank, "card_ok")
    with pytest.raises(OutsideKeyReused):
        await bank.capture(key=DO, order=ORDER, amount=PRICE)


async def test_a_key_in_flight_with_another_amount_can_never_be_served(
    bank: Bank, hasty: Bank
) -> None:
    with pytest.raises(OutsideUnavailable):
        await authorise(hasty, "card_late_0.3")
    with pytest.raises(OutsideKeyReused):
        await authorise(bank, "card_ok")


async def test_a_key_in_no_ascii_is_the_same_key_to_its_void(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok", "Größe 7/1/do")
    await bank.void(key="Größe 7/1/undo", subject=ORDER, closes="Größe 7/1/do")
    assert await states(client) == ["voided"]


@pytest.mark.parametrize(
    ("card", "code"), [("card_declined", "insufficient_funds"), ("card_typo", "unknown_card")]
)
async def test_a_declined_card_holds_nothing(
    bank: Bank, client: httpx.AsyncClient, card: str, code: str
) -> None:
    assert await authorise(bank, card) == Declined(code=code)
    assert await states(client) == []


async def test_a_card_that_declines_the_capture_stays_authorised(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    assert isinstance(await authorise(bank, "card_capture_declined"), Accepted)
    declined = await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    assert declined == Declined(code="capture_declined")
    assert await states(client) == ["authorised"]


async def test_what_was_never_authorised_cannot_be_captured(bank: Bank) -> None:
    declined = await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    assert declined == Declined(code="nothing_authorised")


async def test_another_amount_than_authorised_cannot_be_captured(bank: Bank) -> None:
    await authorise(bank, "card_ok")
    declined = await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE * 2)
    assert declined == Declined(code="amount_differs")


async def test_an_order_is_captured_once_whatever_the_key(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok")
    await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    again = await bank.capture(key=CAPTURE_2, order=ORDER, amount=PRICE)
    assert again == Declined(code="already_captured")
    assert (await ledger(client))["captured"] == {"EUR": 2500}


async def test_a_void_releases_what_is_held_and_a_second_one_changes_nothing(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok")
    voided = await bank.void(key=UNDO, subject=ORDER, closes=DO)
    assert isinstance(voided, Accepted)
    assert await bank.void(key=UNDO, subject=ORDER, closes=DO) == voided
    assert await bank.void(key=f"{UNDO}-again", subject=ORDER, closes=DO) == voided
    assert await states(client) == ["voided"]
    late = await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    assert late == Declined(code="voided")


async def test_a_void_of_what_was_captured_refunds_it(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok")
    await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    await bank.void(key=UNDO, subject=ORDER, closes=DO)
    after = await ledger(client)
    assert (after["held"], after["captured"], after["refunded"]) == ({}, {}, {"EUR": 2500})


async def test_a_void_shuts_the_door_on_an_authorisation_that_comes_later(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    assert isinstance(await bank.void(key=UNDO, subject=ORDER, closes=DO), Accepted)
    assert await authorise(bank, "card_ok") == Declined(code="voided")
    assert await states(client) == []


async def test_a_void_shuts_the_door_on_an_authorisation_already_under_way(
    bank: Bank, hasty: Bank, client: httpx.AsyncClient
) -> None:
    with pytest.raises(OutsideUnavailable):
        await authorise(hasty, "card_late_0.3")
    await bank.void(key=UNDO, subject=ORDER, closes=DO)
    landed = await authorise(bank, "card_late_0.3")
    assert landed == Declined(code="voided")
    assert await states(client) == []


async def test_a_void_shuts_the_door_on_a_capture_too(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok")
    await bank.void(key=f"{CAPTURE}/undo", subject=ORDER, closes=CAPTURE)
    late = await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    assert late == Declined(code="voided")
    await bank.capture(key=CAPTURE_2, order=ORDER, amount=PRICE)
    await bank.void(key=f"{CAPTURE_2}/undo", subject=ORDER, closes=CAPTURE_2)
    assert await states(client) == ["refunded"]


async def test_a_void_touches_no_other_order(bank: Bank, client: httpx.AsyncClient) -> None:
    await authorise(bank, "card_ok")
    declined = await bank.void(key=UNDO, subject="order-8", closes=DO)
    assert declined == Declined(code="other_order")
    assert await states(client) == ["authorised"]


async def test_a_new_attempt_works_after_the_void_of_the_one_before(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok")
    await bank.void(key=UNDO, subject=ORDER, closes=DO)
    assert isinstance(await authorise(bank, "card_ok", DO_2), Accepted)
    captured = await bank.capture(key=CAPTURE_2, order=ORDER, amount=PRICE)
    assert isinstance(captured, Accepted)
    assert await states(client) == ["voided", "captured"]


async def test_a_capture_takes_the_newest_of_several_authorisations(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok")
    await authorise(bank, "card_ok", DO_2)
    await bank.capture(key=CAPTURE_2, order=ORDER, amount=PRICE)
    assert await states(client) == ["authorised", "captured"]


async def test_a_charge_lands_even_if_nobody_waits_for_it(
    hasty: Bank, client: httpx.AsyncClient
) -> None:
    with pytest.raises(OutsideUnavailable, match="SocketTimeoutError"):
        await authorise(hasty, "card_late_0.2")
    assert await states(client) == []
    async with asyncio.timeout(5):
        while await states(client) != ["authorised"]:
            pass


async def test_a_lost_answer_is_there_when_asked_again(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    with pytest.raises(OutsideUnavailable, match="504"):
        await authorise(bank, "card_lost")
    assert await states(client) == ["authorised"]
    assert isinstance(await authorise(bank, "card_lost"), Accepted)
    assert await states(client) == ["authorised"]


async def test_a_lost_answer_to_a_capture_is_there_when_asked_again(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_capture_lost")
    with pytest.raises(OutsideUnavailable):
        await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    captured = await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    assert isinstance(captured, Accepted)
    assert (await ledger(client))["captured"] == {"EUR": 2500}


@pytest.mark.parametrize(("card", "failures"), [("card_error", 1), ("card_error_3", 3)])
async def test_a_card_fails_as_often_as_it_says_and_then_works(
    bank: Bank, client: httpx.AsyncClient, card: str, failures: int
) -> None:
    for _ in range(failures):
        with pytest.raises(OutsideUnavailable, match="500"):
            await authorise(bank, card)
        assert await states(client) == []
    assert isinstance(await authorise(bank, card), Accepted)


async def test_a_capture_and_a_void_can_be_told_to_fail_as_well(bank: Bank) -> None:
    assert isinstance(await authorise(bank, "card_capture_error_1"), Accepted)
    with pytest.raises(OutsideUnavailable):
        await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    assert isinstance(await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE), Accepted)
    assert isinstance(await authorise(bank, "card_void_broken", DO_2), Accepted)
    with pytest.raises(OutsideUnavailable):
        await bank.void(key=UNDO, subject=ORDER, closes=DO_2)


async def charge(
    bank: Bank, card: str = "card_ok", key: str = "i-1/1/collect/do"
) -> Accepted | Declined:
    return await bank.charge(key=key, order=ORDER, amount=PRICE, card=card)


async def refund(
    bank: Bank, amount: Money = PRICE, key: str = "r-1/1/refund/do", refund_id: str = "r-1"
) -> Accepted | Declined:
    return await bank.refund(key=key, order=ORDER, refund_id=refund_id, amount=amount)


async def pay_out(
    bank: Bank, merchant: str = "m-1", key: str = "p-1/1/transfer/do", payout: str = "p-1"
) -> Accepted | Declined:
    return await bank.pay_out(key=key, payout=payout, merchant=merchant, amount=PRICE)


async def listed(client: httpx.AsyncClient, kind: str) -> list[str]:
    return [one["state"] for one in (await ledger(client))[kind]]


async def test_a_charge_is_taken_at_once_and_once(bank: Bank, client: httpx.AsyncClient) -> None:
    first = await charge(bank)
    assert await charge(bank) == first
    assert await listed(client, "charges") == ["captured"]
    assert (await ledger(client))["captured"] == {"EUR": 2500}


async def test_a_card_declines_as_many_charges_of_the_order_as_it_says(bank: Bank) -> None:
    keys = [f"i-{number}/1/collect/do" for number in range(4)]
    replies = [await charge(bank, "card_charge_declined_2", key) for key in keys]
    assert replies[:2] == [Declined(code="insufficient_funds")] * 2
    assert all(isinstance(reply, Accepted) for reply in replies[2:])
    assert await charge(bank, "card_charge_declined_2", keys[0]) == replies[0]


async def test_a_card_that_charges_badly_authorises_well(bank: Bank) -> None:
    assert isinstance(await authorise(bank, "card_charge_declined"), Accepted)
    assert await charge(bank, "card_charge_declined") == Declined(code="insufficient_funds")
    with pytest.raises(OutsideUnavailable, match="504"):
        await charge(bank, "card_charge_lost", "i-2/1/collect/do")
    assert isinstance(await charge(bank, "card_charge_lost", "i-2/1/collect/do"), Accepted)


async def test_no_more_is_refunded_than_was_taken_for_the_order(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok")
    await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    await charge(bank)
    assert await refund(bank, PRICE * 3) == Declined(code="over_captured")
    half = await refund(bank, PRICE, "r-1/2/refund/do")
    assert isinstance(half, Accepted)
    more = await refund(bank, PRICE * 2, "r-2/1/refund/do", "r-2")
    assert more == Declined(code="over_captured")
    rest = await refund(bank, PRICE, "r-2/2/refund/do", "r-2")
    assert isinstance(rest, Accepted)
    assert await listed(client, "refunds") == ["paid", "paid"]


async def test_a_return_is_refunded_once_whatever_the_key(bank: Bank) -> None:
    await charge(bank)
    await refund(bank, Money(5, "EUR"))
    again = await refund(bank, Money(5, "EUR"), "r-1/2/refund/do")
    assert again == Declined(code="already_refunded")


async def test_a_card_can_decline_a_refund(bank: Bank) -> None:
    assert isinstance(await charge(bank, "card_refund_declined"), Accepted)
    assert await refund(bank) == Declined(code="refund_declined")


async def test_a_payout_is_paid_once_whatever_the_key(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    assert isinstance(await pay_out(bank), Accepted)
    assert await pay_out(bank, key="p-1/2/transfer/do") == Declined(code="already_paid")
    [paid] = (await ledger(client))["payouts"]
    assert (paid["payout"], paid["merchant"], paid["amount"]) == ("p-1", "m-1", 2500)


async def test_a_merchant_can_be_told_to_misbehave_at_payouts(bank: Bank) -> None:
    declined = await pay_out(bank, "m1-payout_declined")
    assert declined == Declined(code="account_closed")
    with pytest.raises(OutsideUnavailable, match="500"):
        await pay_out(bank, "m2-payout_error_1-x", "p-2/1/transfer/do", "p-2")
    paid = await pay_out(bank, "m2-payout_error_1-x", "p-2/1/transfer/do", "p-2")
    assert isinstance(paid, Accepted)


async def test_a_void_takes_back_a_charge_a_refund_and_a_payout(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok")
    await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    await charge(bank)
    await refund(bank)
    await pay_out(bank)
    closes = {"i-1/1/collect/do": ORDER, "r-1/1/refund/do": ORDER, "p-1/1/transfer/do": "p-1"}
    for _ in range(2):
        for closed, whose in closes.items():
            voided = await bank.void(key=f"{closed}/undo", subject=whose, closes=closed)
            assert isinstance(voided, Accepted)
    assert await listed(client, "charges") == ["refunded"]
    assert await listed(client, "refunds") == ["reversed"]
    assert await listed(client, "payouts") == ["reversed"]
    assert isinstance(await refund(bank, key="r-1/2/refund/do"), Accepted)
    assert isinstance(await pay_out(bank, key="p-1/2/transfer/do"), Accepted)


async def test_a_void_shuts_the_door_on_a_charge_a_refund_and_a_payout(
    bank: Bank, client: httpx.AsyncClient
) -> None:
    await authorise(bank, "card_ok")
    await bank.capture(key=CAPTURE, order=ORDER, amount=PRICE)
    closes = {"i-1/1/collect/do": ORDER, "r-1/1/refund/do": ORDER, "p-1/1/transfer/do": "p-1"}
    for closed, whose in closes.items():
        await bank.void(key=f"{closed}/undo", subject=whose, closes=closed)
    late = [await charge(bank), await refund(bank), await pay_out(bank)]
    assert late == [Declined(code="voided")] * 3
    for kind in ("charges", "refunds", "payouts"):
        assert await listed(client, kind) == []


async def test_a_bank_that_nobody_reaches_is_unavailable_and_the_message_says_what_to_do(
    session: ClientSession,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    nobody = HttpGateway(session, f"http://127.0.0.1:{port}")
    with pytest.raises(OutsideUnavailable, match="asked again with the same key") as raised:
        await authorise(HttpBank(nobody), "card_ok")
    assert "card_ok" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, "<html>maintenance</html>"),
        (200, json.dumps({"status": "pending", "reference": "r"})),
        (402, json.dumps({"status": "declined"})),
        (404, "not found"),
    ],
)
async def test_an_answer_in_other_words_is_not_taken_for_a_yes_or_a_no(
    session: ClientSession, status: int, answer: str
) -> None:
    app = FastAPI()

    @app.post("/authorisations")
    async def strange() -> PlainTextResponse:
        return PlainTextResponse(answer, status)

    async with served(app) as address:
        with pytest.raises(OutsideAnswerUnreadable, match=f"HTTP {status}"):
            await authorise(HttpBank(HttpGateway(session, address)), "card_ok")


@pytest.mark.parametrize("status", [409, 429, 503])
async def test_a_bank_that_is_busy_is_asked_again(session: ClientSession, status: int) -> None:
    app = FastAPI()

    @app.post("/authorisations")
    async def busy() -> PlainTextResponse:
        return PlainTextResponse("later", status)

    async with served(app) as address:
        with pytest.raises(OutsideUnavailable, match=f"HTTP {status}"):
            await authorise(HttpBank(HttpGateway(session, address)), "card_ok")
