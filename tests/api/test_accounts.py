"""Merchants, customers and stock: written by one command each, read as they stand or stood."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from tests.api.conftest import House
from tests.api.shop import Shop, a_key, place, problem, settled
from tests.controls import a_customer, a_merchant


def seen(answer: httpx.Response) -> dict[str, str]:
    return {"Handrail-Token": answer.headers["Handrail-Token"]}


async def test_a_merchant_is_opened_once(api: httpx.AsyncClient) -> None:
    merchant = a_merchant()
    terms = {"currency": "EUR", "fee_bps": 250}
    opened = await api.put(f"/merchants/{merchant}", json=terms)
    again = await api.put(f"/merchants/{merchant}", json=terms)
    assert (opened.status_code, again.status_code) == (201, 200)
    balance = await api.get(f"/merchants/{merchant}/balance", headers=seen(opened))
    assert balance.json()["balance"] == {"amount": 0, "currency": "EUR"}
    assert balance.json()["fee_bps"] == 250


async def test_a_merchant_is_not_opened_on_other_terms(api: httpx.AsyncClient) -> None:
    merchant = a_merchant()
    await api.put(f"/merchants/{merchant}", json={"currency": "EUR", "fee_bps": 250})
    other = await api.put(f"/merchants/{merchant}", json={"currency": "EUR", "fee_bps": 300})
    assert merchant in problem(other, 409, "content-differs")["detail"]


async def test_a_limit_can_be_changed_and_changed_back(api: httpx.AsyncClient) -> None:
    customer = a_customer()
    for amount in (100, 200, 100):
        limit = {"limit": {"amount": amount, "currency": "EUR"}}
        assigned = await api.put(f"/customers/{customer}/limit", json=limit)
        found = await api.get(f"/customers/{customer}", headers=seen(assigned))
        assert found.json()["available"]["amount"] == amount


async def test_a_late_repeat_with_its_key_does_not_set_an_old_limit_again(
    api: httpx.AsyncClient,
) -> None:
    customer, key = a_customer(), {"Idempotency-Key": a_key()}

    async def assign(amount: int, headers: dict[str, str]) -> httpx.Response:
        limit = {"limit": {"amount": amount, "currency": "EUR"}}
        return await api.put(f"/customers/{customer}/limit", json=limit, headers=headers)

    await assign(100, key)
    latest = await assign(200, {})
    await assign(100, key)
    found = await api.get(f"/customers/{customer}", headers=seen(latest))
    assert found.json()["limit"]["amount"] == 200


async def test_a_key_does_not_make_another_limit_the_same(api: httpx.AsyncClient) -> None:
    customer, key = a_customer(), {"Idempotency-Key": a_key()}
    for amount in (100, 200):
        limit = {"limit": {"amount": amount, "currency": "EUR"}}
        assigned = await api.put(f"/customers/{customer}/limit", json=limit, headers=key)
        found = await api.get(f"/customers/{customer}", headers=seen(assigned))
        assert found.json()["limit"]["amount"] == assigned.json()["limit"]["amount"] == amount


async def test_a_limit_keeps_its_currency(api: httpx.AsyncClient, shop: Shop) -> None:
    limit = {"limit": {"amount": 1, "currency": "USD"}}
    answer = await api.put(f"/customers/{shop.customer}/limit", json=limit)
    assert "EUR" in problem(answer, 422, "wrong-currency")["detail"]


async def test_a_delivery_is_counted_once(api: httpx.AsyncClient, shop: Shop) -> None:
    delivery = {"sku": shop.sku, "delivery": "second", "quantity": 5}
    path = f"/merchants/{shop.merchant}/stock"
    answers = await asyncio.gather(*(api.post(path, json=delivery) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    found = await api.get(path, headers=seen(answers[0]))
    [item] = found.json()["items"]
    assert (item["available"], item["reserved"], item["received"]) == (15, 0, 15)


async def test_deliveries_whose_names_run_together_are_two(api: httpx.AsyncClient) -> None:
    merchant = a_merchant()
    opened = await api.put(f"/merchants/{merchant}", json={"currency": "EUR", "fee_bps": 0})
    path = f"/merchants/{merchant}/stock"
    for sku, delivery in (("a-b", "c"), ("a", "b-c")):
        body = {"sku": sku, "delivery": delivery, "quantity": 1}
        last = await api.post(path, json=body, headers=seen(opened))
    found = await api.get(path, headers=seen(last))
    assert [item["sku"] for item in found.json()["items"]] == ["a", "a-b"]


async def test_a_write_is_read_with_its_token_at_once(api: httpx.AsyncClient) -> None:
    for _ in range(10):
        customer = a_customer()
        limit = {"limit": {"amount": 5, "currency": "EUR"}}
        assigned = await api.put(f"/customers/{customer}/limit", json=limit)
        assert (await api.get(f"/customers/{customer}", headers=seen(assigned))).status_code == 200


async def test_the_books_after_an_order(api: httpx.AsyncClient, shop: Shop) -> None:
    saga = (await place(api, shop)).json()["saga"]
    stream = f"/streams/saga-{saga}"
    await settled(api, saga)
    balance = (await api.get(f"/merchants/{shop.merchant}/balance")).json()
    assert balance["gross"]["amount"] == 100_00
    assert balance["fees"]["amount"] == 2_50
    assert balance["balance"]["amount"] == 97_50
    customer = (await api.get(f"/customers/{shop.customer}")).json()
    [owed] = customer["orders"]
    assert (owed["order"], owed["owed"]["amount"]) == (saga, 75_00)
    stock = (await api.get(f"/merchants/{shop.merchant}/stock/{shop.sku}")).json()
    assert (stock["available"], stock["reserved"]) == (8, 2)
    assert (await api.get(stream)).status_code == 200


async def test_what_was_known_then(api: httpx.AsyncClient, shop: Shop) -> None:
    before = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    saga = (await place(api, shop)).json()["saga"]
    await settled(api, saga)
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")

    async def at(path: str, moment: str) -> httpx.Response:
        return await api.get(path, params={"as_of": moment})

    customer = f"/customers/{shop.customer}"
    assert (await at(customer, before)).json()["used"]["amount"] == 0
    assert (await at(customer, now)).json()["used"]["amount"] == 75_00
    balance = f"/merchants/{shop.merchant}/balance"
    assert (await at(balance, before)).json()["balance"]["amount"] == 0
    assert (await at(balance, now)).json()["balance"]["amount"] == 97_50
    stock = f"/merchants/{shop.merchant}/stock/{shop.sku}"
    assert (await at(stock, before)).json()["available"] == 10
    assert (await at(stock, now)).json() == (await api.get(stock)).json()
    problem(await at(f"/orders/{saga}", before), 404, "not-found")
    assert (await at(f"/orders/{saga}", now)).json() == (await api.get(f"/orders/{saga}")).json()


@pytest.mark.parametrize(
    "path",
    [
        "/customers/nobody",
        "/merchants/nobody/balance",
        "/merchants/nobody/stock",
        "/merchants/nobody/stock/nothing",
        "/orders/nothing",
        "/sagas/nothing",
        "/sagas/nothing/events",
        "/streams/order-nothing",
    ],
)
async def test_what_is_not_there_is_not_found(api: httpx.AsyncClient, path: str) -> None:
    assert problem(await api.get(path), 404, "not-found")["instance"] == path


async def test_stock_that_was_delivered_twice_is_written_once(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    path = f"/merchants/{shop.merchant}/stock"
    delivery = {"sku": shop.sku, "delivery": "first", "quantity": 10}
    await api.post(path, json=delivery)
    stream = f"stock-{shop.merchant}:{shop.sku}"
    assert len(await house.sql("SELECT 1 FROM events WHERE stream = %s", stream)) == 1
