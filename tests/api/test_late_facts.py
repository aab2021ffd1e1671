"""Facts that bank and carrier say late: when they became true is kept, and has bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.api.conftest import House
from tests.api.shop import open_shop, place, problem, read
from tests.api.test_webhooks import dispute, hooks, parcel, tell

__all__ = ["hooks"]


@pytest.mark.quick(1)
@pytest.mark.parametrize("at", [timedelta(days=-1), timedelta(hours=1)], ids=["before", "future"])
async def test_what_is_said_to_have_been_before_the_order_or_in_the_future_is_refused(
    house: House, hooks: httpx.AsyncClient, at: timedelta
) -> None:
    async with house.api() as api:
        order = (await place(api, await open_shop(api))).json()["order"]
    said = (datetime.now(UTC) + at).isoformat()
    for told in (parcel(order, at=said), dispute(order, at=said)):
        source = "bank" if b"dispute" in told else "carrier"
        answer = await tell(hooks, told, source=source)
        found = problem(answer, 422, "invalid-request")
        assert [one["pointer"] for one in found["errors"]] == ["#/data/at"]


async def test_a_dispute_keeps_when_it_became_true(house: House, hooks: httpx.AsyncClient) -> None:
    async with house.api() as api:
        order = (await place(api, await open_shop(api))).json()["order"]
        await read(api, f"/orders/{order}", lambda found: found["payment"] == "captured")
    said = datetime.now(UTC).isoformat()
    taken = {"amount": 25_00, "currency": "EUR"}
    answer = await tell(hooks, dispute(order, taken, at=said), source="bank")
    assert answer.status_code == 202, answer.text
    found = await house.sql(
        "SELECT data->>'effective_at' FROM events WHERE stream = %s AND type = 'PaymentDisputed'",
        f"payment-{order}",
    )
    assert [datetime.fromisoformat(one) for (one,) in found] == [datetime.fromisoformat(said)]


async def test_an_order_is_asked_for_what_was_true(house: House) -> None:
    async with house.api() as api:
        order = (await place(api, await open_shop(api))).json()["order"]
        now = await read(api, f"/orders/{order}", lambda found: found["shipment"] == "booked")
        later = await api.get(f"/orders/{order}", params={"effective_at": "2100-01-01T00:00:00Z"})
        assert {**later.json(), "updated_at": ""} == {**now, "updated_at": ""}
        before = {"effective_at": "2001-01-01T00:00:00Z"}
        problem(await api.get(f"/orders/{order}", params=before), 404, "not-found")
