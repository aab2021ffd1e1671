"""The audit trail."""

from __future__ import annotations

import httpx

from tests.api.conftest import House
from tests.api.shop import Shop, place, settled


async def test_a_stream_says_who_did_what_when_and_why(api: httpx.AsyncClient, shop: Shop) -> None:
    order = (await place(api, shop)).json()["order"]
    await settled(api, order)
    found = (await api.get(f"/streams/order-{order}")).json()
    assert [(one["version"], one["type"]) for one in found["items"]] == [
        (1, "OrderPlaced"),
        (2, "OrderConfirmed"),
    ]
    placed = found["items"][0]
    assert placed["data"]["total"] == {"amount": 100_00, "currency": "EUR"}
    assert placed["metadata"]["actor"] == "api"
    assert placed["metadata"]["correlation"] == order
    assert placed["recorded_at"]
    assert found["next"] is None


async def test_a_long_stream_comes_in_pages(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    saga = (await place(api, shop)).json()["saga"]
    await settled(api, saga)
    stored = await house.sql(
        "SELECT version FROM events WHERE stream = %s ORDER BY version", f"saga-{saga}"
    )
    found: list[tuple[int]] = []
    path: str | None = f"/streams/saga-{saga}?limit=4"
    while path:
        answer = await api.get(path)
        found += [(one["version"],) for one in answer.json()["items"]]
        path = answer.links.get("next", {}).get("url")
    assert found == stored


async def test_an_article_of_a_merchant_has_a_stream(api: httpx.AsyncClient, shop: Shop) -> None:
    found = await api.get(f"/streams/stock-{shop.merchant}:{shop.sku}")
    assert [one["type"] for one in found.json()["items"]] == ["StockReceived"]
