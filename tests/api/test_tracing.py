"""The trace of a request is found again beside every event it caused."""

from __future__ import annotations

import httpx
import pytest

from handrail.tracing.spans import attached, context_of, traceparent
from tests.api.conftest import House
from tests.api.shop import Shop, a_key, settled

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_every_event_of_an_order_tells_its_trace_its_saga_and_its_merchant(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    headers = {"Idempotency-Key": a_key(), "Handrail-Token": shop.token, "traceparent": TRACE}
    placed = await api.post("/orders", json=shop.order(), headers=headers)
    saga = placed.json()["saga"]
    await settled(api, saga, "completed")

    stored = await house.sql(
        "SELECT DISTINCT metadata ->> 'traceparent', metadata ->> 'saga', metadata ->> 'merchant'"
        " FROM events WHERE metadata ->> 'correlation' = %s",
        saga,
    )

    assert stored == [(TRACE, saga, shop.merchant)]


async def test_a_single_command_tells_its_trace(house: House, api: httpx.AsyncClient) -> None:
    customer = f"traced-{a_key()[:8]}"
    limit = {"limit": {"amount": 10_00, "currency": "EUR"}}
    await api.put(f"/customers/{customer}/limit", json=limit, headers={"traceparent": TRACE})

    [(metadata,)] = await house.sql(
        "SELECT metadata FROM events WHERE stream = %s", f"credit-{customer}"
    )

    assert metadata["traceparent"] == TRACE
    assert "saga" not in metadata


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        TRACE.upper(),
        f"ff{TRACE[2:]}",
        TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        TRACE.replace("00f067aa0ba902b7", "0" * 16),
        f"{TRACE}-more",
    ],
)
def test_what_is_no_trace_is_passed_over(header: str) -> None:
    with attached(context_of(header)):
        assert traceparent() == ""
    with attached(context_of(TRACE)):
        assert traceparent() == TRACE
    assert traceparent() == ""
