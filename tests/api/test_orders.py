"""Orders as they are read and taken back."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.api.shop import Shop, open_shop, place, problem, read, refused_as, settled


async def test_an_order_is_read_with_the_token_of_its_decision(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    decided = await place(api, shop)
    found = await api.get(
        f"/orders/{decided.json()['order']}",
        headers={"Handrail-Token": decided.headers["Handrail-Token"]},
    )
    body = found.json()
    assert body["status"] in {"approved", "confirmed"}
    assert body["total"] == {"amount": 100_00, "currency": "EUR"}
    assert body["down_payment"] == {"amount": 25_00, "currency": "EUR"}
    assert body["lines"] == [shop.line()]
    assert body["links"]["customer"] == f"/customers/{shop.customer}"


async def test_lists_are_filtered(api: httpx.AsyncClient, shop: Shop) -> None:
    approved = (await place(api, shop)).json()["order"]
    refused = (await place(api, shop, lines=[shop.line(quantity=11)])).json()["order"]
    await settled(api, approved)
    await settled(api, refused)

    async def ids(**filters: str) -> set[str]:
        found = await api.get("/orders", params=filters)
        return {one["order"] for one in found.json()["items"]}

    assert await ids(customer=shop.customer) == {approved, refused}
    assert await ids(merchant=shop.merchant, status="refused") == {refused}
    assert await ids(customer=shop.customer, status="confirmed") == {approved}
    assert await ids(customer="nobody") == set()


@pytest.mark.thorough
async def test_pages_are_complete(api: httpx.AsyncClient) -> None:
    shop = await open_shop(api, stock=1000)
    placed = await asyncio.gather(*(place(api, shop) for _ in range(7)))
    wanted = {answer.json()["order"] for answer in placed}
    for order in wanted:
        await settled(api, order)
    for path in (f"/orders?customer={shop.customer}", f"/sagas?merchant={shop.merchant}"):
        found, pages = [], 0
        answer = await api.get(f"{path}&limit=3")
        while True:
            found += [one.get("order") or one["saga"] for one in answer.json()["items"]]
            pages += 1
            if not (following := answer.json()["next"]):
                break
            assert answer.links["next"]["url"] == following
            answer = await api.get(following)
        assert (sorted(found), pages) == (sorted(wanted), 3)
        assert "Link" not in answer.headers


@pytest.mark.parametrize("cursor", ["x", "W10", "WzFd", "bnVsbA", "e30", "AAAA"])
async def test_a_cursor_of_ones_own_making_is_refused(api: httpx.AsyncClient, cursor: str) -> None:
    for path in ("/orders", "/sagas", "/streams/order-1", "/merchants/m/stock"):
        problem(await api.get(path, params={"cursor": cursor}), 400, "bad-cursor")


async def test_a_cursor_belongs_to_its_filters(api: httpx.AsyncClient, shop: Shop) -> None:
    await asyncio.gather(*(place(api, shop, lines=[shop.line(quantity=1)]) for _ in range(2)))
    path = f"/orders?customer={shop.customer}"
    await read(api, path, lambda found: len(found["items"]) == 2)
    first = await api.get(f"/orders?customer={shop.customer}&limit=1")
    cursor = httpx.URL(first.json()["next"]).params["cursor"]
    for path, filters in (("/orders", {"merchant": shop.merchant}), ("/sagas", {})):
        other = await api.get(path, params={"cursor": cursor, **filters})
        problem(other, 400, "bad-cursor")


async def test_an_order_is_taken_back(api: httpx.AsyncClient, shop: Shop) -> None:
    order = (await place(api, shop, wait=None, card="card_late_1")).json()["order"]
    wish = {"reason": "changed my mind", "actor": "ann"}
    answer = await api.post(f"/orders/{order}/cancellation", json=wish)
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")
    again = await api.post(f"/orders/{order}/cancellation", json=wish)
    assert again.status_code == 202
    saga = await settled(api, order)
    assert (saga["status"], saga["because"], saga["reason"]) == (
        "compensated",
        "cancelled",
        "changed my mind",
    )
    asked = [one for one in saga["timeline"] if one["what"] == "CancelRequested"]
    assert [one["actor"] for one in asked] == ["ann"]
    found = await read(api, f"/orders/{order}", lambda found: found["status"] == "cancelled")
    assert found["reason"] == "changed my mind"


@pytest.mark.thorough
async def test_it_is_too_late_to_cancel_what_is_paid(api: httpx.AsyncClient, shop: Shop) -> None:
    order = (await place(api, shop, ship_to="addr_slow")).json()["order"]
    answer = await api.post(f"/orders/{order}/cancellation", json={"reason": "too late"})
    assert "CapturePayment" in problem(answer, 409, "too-late")["detail"]
    await settled(api, order, "completed")


async def test_what_has_ended_cannot_be_cancelled(api: httpx.AsyncClient, shop: Shop) -> None:
    order = (await place(api, shop, lines=[shop.line(quantity=11)])).json()["order"]
    await settled(api, order)

    async def cancelled() -> httpx.Response:
        return await api.post(f"/orders/{order}/cancellation", json={"reason": "too late"})

    problem(await refused_as(cancelled, "saga-ended"), 409, "saga-ended")


async def test_what_is_not_there_cannot_be_cancelled(api: httpx.AsyncClient) -> None:
    answer = await api.post("/orders/nothing/cancellation", json={"reason": "none"})
    problem(answer, 404, "not-found")


@pytest.mark.parametrize("reason", ["", "x" * 501, "a\x00b", None, 7])
async def test_a_cancellation_needs_a_reason(api: httpx.AsyncClient, reason: object) -> None:
    answer = await api.post("/orders/any/cancellation", json={"reason": reason})
    found = problem(answer, 422, "invalid-request")
    assert [one["pointer"] for one in found["errors"]] == ["#/reason"]


@pytest.mark.parametrize("token", ["x", "-1", "0", "1.5", "9" * 30, "999999999999999999"])
async def test_a_token_that_nobody_gave_out_is_refused(api: httpx.AsyncClient, token: str) -> None:
    answer = await api.get("/customers/any", headers={"Handrail-Token": token})
    found = problem(answer, 400, "malformed-header")
    assert [one["header"] for one in found["errors"]] == ["Handrail-Token"]
