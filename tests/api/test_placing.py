"""Placing orders: accepted at once, or decided while the client waits."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from handrail.database_engine import open_engine
from tests.api.conftest import API, House
from tests.api.shop import Shop, a_key, open_shop, place, settled


async def test_an_order_is_accepted_at_once(api: httpx.AsyncClient, shop: Shop) -> None:
    answer = await place(api, shop, wait=None)
    assert answer.status_code == 202
    body = answer.json()
    assert body["status"] == "running"
    assert answer.headers["Location"] == f"/sagas/{body['saga']}" == body["links"]["saga"]
    assert answer.headers["Retry-After"] == "1"
    assert "Preference-Applied" not in answer.headers
    assert (await settled(api, body["saga"]))["status"] == "completed"


async def test_what_was_accepted_is_found_under_its_location(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    answer = await place(api, shop, wait=None)
    found = await api.get(answer.headers["Location"])
    assert found.status_code == 200
    assert found.json()["saga"] == answer.json()["saga"]


async def test_a_client_that_waits_gets_the_decision(api: httpx.AsyncClient, shop: Shop) -> None:
    answer = await place(api, shop)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["decision"], body["because"], body["reason"]) == ("approved", "", "")
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.headers["Handrail-Token"] == body["token"]


async def test_the_decision_falls_before_the_saga_ends(api: httpx.AsyncClient, shop: Shop) -> None:
    answer = await place(api, shop, ship_to="addr_slow")
    assert answer.json()["decision"] == "approved"
    assert (await api.get(answer.json()["links"]["saga"])).json()["status"] != "completed"
    assert (await settled(api, answer.json()["saga"]))["status"] == "completed"


async def test_an_order_takes_three_statements_to_begin_and_one_to_keep_its_answer(
    house: House, shop: Shop
) -> None:
    """Its place, what is known of the shop, its key; the customer waits for each."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "SagaDecided" not in statement:  # the look for decisions goes on beside it
            sent.append(statement)

    async with (
        open_engine(house.database, role=API) as engine,
        house.api(engine=engine, sagas_per_merchant=9) as api,
    ):
        await place(api, shop)  # it waits until the read models know the shop
        event.listen(engine.sync_engine, "before_cursor_execute", note)
        key = {"Idempotency-Key": a_key()}
        answer = await api.post("/orders", json=shop.order(), headers=key)
    assert answer.status_code == 202
    place_taken, known, claimed, kept = sent
    assert "INSERT INTO saga_places" in place_taken
    assert "FROM merchant_balance" in known
    assert "INSERT INTO requests" in claimed
    assert "UPDATE requests" in kept


async def test_a_refusal_says_why(api: httpx.AsyncClient) -> None:
    poor = await open_shop(api, limit=1_00)
    answer = await place(api, poor)
    body = answer.json()
    assert (answer.status_code, body["decision"], body["because"]) == (
        200,
        "refused",
        "CreditRefused",
    )
    assert body["reason"] == "74.00 EUR over the credit limit"
    assert (await settled(api, body["saga"]))["status"] == "refused"


async def test_no_stock_refuses(api: httpx.AsyncClient, shop: Shop) -> None:
    body = (await place(api, shop, lines=[shop.line(quantity=11)])).json()
    assert (body["decision"], body["because"]) == ("refused", "StockUnavailable")


async def test_a_decision_that_does_not_fall_in_time_is_no_answer(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    answer = await place(api, shop, wait=1, card="card_late_3")
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait=1"
    await api.post(
        f"/orders/{answer.json()['order']}/cancellation", json={"reason": "the test is over"}
    )


async def test_who_placed_it_is_told(house: House, api: httpx.AsyncClient, shop: Shop) -> None:
    answer = await api.post(
        "/orders",
        json=shop.order(),
        headers={
            "Idempotency-Key": a_key(),
            "Handrail-Token": shop.token,
            "Handrail-Actor": "ann@example.com",
            "Prefer": "respond-async, wait=20",
        },
    )
    order = answer.json()["order"]
    actors = await house.sql(
        "SELECT DISTINCT metadata->>'actor' FROM events WHERE stream = %s", f"order-{order}"
    )
    assert actors == [("ann@example.com",)]


async def test_operators_see_it_in_temporal(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    body = (await place(api, shop)).json()
    found = await house.temporal.get_workflow_handle(body["saga"]).describe()
    attributes = {pair.key.name: pair.value for pair in found.typed_search_attributes}
    assert attributes["SagaType"] == "Checkout"
    assert attributes["Merchant"] == shop.merchant
    assert await found.static_summary() == f"{shop.merchant}: 100.00 EUR in 3 instalments"
    assert shop.sku in (await found.static_details() or "")
    assert shop.customer not in (await found.static_details() or "")
    assert body["links"]["temporal_ui"].endswith(f"/workflows/{body['saga']}")


@pytest.mark.thorough
async def test_a_client_beyond_those_that_may_wait_is_answered_at_once(
    house: House, shop: Shop
) -> None:
    async with house.api(bounds={"waiting_requests": 1}) as api:
        answers = await asyncio.gather(*(place(api, shop, card="card_slow") for _ in range(2)))
        at_once, decided = sorted(answers, key=lambda one: -one.status_code)
        assert (at_once.status_code, decided.status_code) == (202, 200)
        assert "Preference-Applied" not in at_once.headers
        assert (await place(api, shop)).status_code == 200, "there is room again"
