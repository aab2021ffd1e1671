"""What was bought is brought back over HTTP: once for each key, as it was quoted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import House
from tests.api.delivery import Contexts, is_delivered
from tests.api.shop import Shop, a_key, place, problem, read, settled
from tests.api.test_idempotency import is_pruned


async def an_order(api: httpx.AsyncClient, shop: Shop) -> Any:
    placed = await place(api, shop)
    assert placed.json()["decision"] == "approved"
    name = placed.json()["order"]
    await settled(api, name, "completed")
    return await read(api, f"/orders/{name}", lambda found: found["status"] == "confirmed")


async def a_delivered_order(api: httpx.AsyncClient, shop: Shop, contexts: Contexts) -> Any:
    order = await an_order(api, shop)
    await is_delivered(contexts, order)
    return order


async def bring_back(
    api: httpx.AsyncClient, order: Any, *, key: str = "", wait: int | None = 20, **body: Any
) -> httpx.Response:
    prefer = {} if wait is None else {"Prefer": f"wait={wait}"}
    return await api.post(
        f"/orders/{order['order']}/returns",
        json={"reason": "it does not fit", **body},
        headers={"Idempotency-Key": key or a_key(), **prefer},
    )


async def test_everything_comes_back_and_the_decision_says_what_it_is_worth(
    api: httpx.AsyncClient, shop: Shop, contexts: Contexts
) -> None:
    order = await a_delivered_order(api, shop, contexts)
    answer = await bring_back(api, order)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["decision"] == "approved"
    assert found["value"] == order["total"]
    assert found["refund"] == order["down_payment"]
    await settled(api, found["saga"], "completed")
    shown = await read(
        api, f"/orders/{order['order']}", lambda found: found["status"] == "returned"
    )
    assert shown["returned"] == order["total"]


async def test_the_same_key_is_one_return(
    api: httpx.AsyncClient, shop: Shop, contexts: Contexts
) -> None:
    order = await a_delivered_order(api, shop, contexts)
    lines = [{"sku": shop.sku, "quantity": 1}]
    key = a_key()
    first = await bring_back(api, order, key=key, wait=None, lines=lines)
    again = await bring_back(api, order, key=key, wait=None, lines=lines)
    assert first.status_code == again.status_code == 202
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert first.headers["Location"] == f"/sagas/{first.json()['saga']}"
    await settled(api, first.json()["saga"], "completed")
    shown = await read(
        api, f"/orders/{order['order']}", lambda found: found["returned"]["amount"] > 0
    )
    assert shown["returned"] == {"amount": 50_00, "currency": "EUR"}


@pytest.mark.thorough
async def test_a_return_that_is_repeated_after_its_key_was_pruned_is_the_same(
    house: House, api: httpx.AsyncClient, shop: Shop, contexts: Contexts
) -> None:
    """It has taken already what it would be quoted for."""
    order, key = await a_delivered_order(api, shop, contexts), a_key()
    first = await bring_back(api, order, key=key)
    await settled(api, first.json()["saga"], "completed")
    await is_pruned(house, key)
    again = await bring_back(api, order, key=key)
    assert again.json() == first.json()


@pytest.mark.thorough
async def test_a_return_is_not_answered_for_another_of_the_same_order(
    house: House, api: httpx.AsyncClient, shop: Shop, contexts: Contexts
) -> None:
    order, key = await a_delivered_order(api, shop, contexts), a_key()
    first = await bring_back(api, order, key=key, lines=[{"sku": shop.sku, "quantity": 1}])
    await settled(api, first.json()["saga"], "completed")
    await is_pruned(house, key)
    problem(await bring_back(api, order, key=key, reason="broken"), 409, "content-differs")
    both = [{"sku": shop.sku, "quantity": 2}]
    problem(await bring_back(api, order, key=key, lines=both), 409, "content-differs")


async def test_more_than_was_bought_is_refused_with_a_reason(
    api: httpx.AsyncClient, shop: Shop, contexts: Contexts
) -> None:
    order = await a_delivered_order(api, shop, contexts)
    answer = await bring_back(api, order, lines=[{"sku": shop.sku, "quantity": 3}])
    found = answer.json()
    assert (found["decision"], found["because"]) == ("refused", "ReturnRefused")
    assert "2 of 3" in found["reason"]


async def test_what_came_back_cannot_come_back_again(
    api: httpx.AsyncClient, shop: Shop, contexts: Contexts
) -> None:
    order = await a_delivered_order(api, shop, contexts)
    await bring_back(api, order)
    problem(await bring_back(api, order), 409, "out-of-order")


async def test_of_an_order_that_does_not_exist_nothing_comes_back(api: httpx.AsyncClient) -> None:
    problem(await bring_back(api, {"order": "nobodys"}), 404, "not-found")


async def test_an_order_that_was_delivered_is_returned_instead_of_cancelled(
    api: httpx.AsyncClient, shop: Shop, contexts: Contexts
) -> None:
    order = await a_delivered_order(api, shop, contexts)
    path, wish = f"/orders/{order['order']}/cancellation", {"reason": "not wanted any more"}
    answer = await api.post(path, json=wish)
    assert answer.status_code == 202, answer.text
    assert answer.json()["value"] == order["total"]
    await settled(api, answer.json()["saga"], "completed")
    problem(await api.post(path, json=wish), 409, "out-of-order")


async def test_an_order_on_its_way_cannot_be_cancelled_and_is_told_what_can_be_done(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    order = await an_order(api, shop)
    answer = await api.post(
        f"/orders/{order['order']}/cancellation", json={"reason": "not wanted any more"}
    )
    assert "it can be returned" in problem(answer, 409, "too-late")["detail"]
