"""The audit trail."""

from __future__ import annotations

from uuid import uuid4

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


async def test_items_of_a_status_are_searched_a_bounded_part_of_the_stream_at_a_time(
    house: House, api: httpx.AsyncClient
) -> None:
    intervention = f"int-{uuid4().hex[:8]}"
    await house.sql(
        """
        WITH e AS (
            INSERT INTO events (stream, version, shard, type, schema, data, metadata)
            SELECT 'intervention-' || %s, n, 0, 'SagaTold', 1, jsonb_build_object(
                'intervention', %s::text, 'saga', 'saga-' || n, 'step', 's', 'said', '',
                'heard', CASE WHEN n = 4500 THEN 'refused' ELSE 'accepted' END), '{}'
            FROM generate_series(1, 4500) AS n
        ) INSERT INTO streams VALUES ('intervention-' || %s, 4500)
        """,
        *[intervention] * 3,
    )
    pages = []
    path: str | None = f"/interventions/{intervention}/items?status=refused"
    while path:
        pages.append((await api.get(path)).json())
        path = pages[-1]["next"]

    assert [[one["saga"] for one in page["items"]] for page in pages] == [[], [], ["saga-4500"]]
