"""What an operator says of an act is sealed in every table that keeps it, and opened in answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from handrail.personal import ERASED, is_sealed, subject_of
from handrail.privacy.cipher import key_ids
from tests.api.conftest import House
from tests.api.poison import heal, poison
from tests.api.shop import Shop, a_key, place, settled
from tests.api.test_interventions import parked
from tests.api.test_personal_texts import stored

REASON = "Ann Canary-Quill rang about it"
WHY = {"actor": "ann", "reason": REASON}
MODEL = "order_status"


@pytest.fixture(autouse=True)
async def _nothing_is_left_parked(house: House) -> Any:
    yield
    await heal(house)


async def test_the_reason_of_a_rebuild_is_stored_sealed(
    api: httpx.AsyncClient, house: House
) -> None:
    answer = await api.post("/read-models/merchant_balance/rebuild", json=WHY)
    assert answer.status_code == 202, answer.text
    assert answer.json()["reason"] == REASON
    [(reason,)] = await house.sql("SELECT reason FROM rebuild_requests")
    assert is_sealed(reason)
    assert REASON not in await stored(house.database)


async def test_the_reason_of_a_retry_is_of_the_subject_of_the_saga_that_the_stream_is_named_after(
    api: httpx.AsyncClient, house: House, shop: Shop
) -> None:
    order = (await place(api, shop)).json()["order"]
    await settled(api, order)
    stream = f"order-{order}"
    await poison(house, stream, "OrderConfirmed", MODEL)
    path = f"/read-models/{MODEL}/parked"
    answer = await api.post(f"{path}/{stream}/retry", json=WHY)
    assert answer.status_code == 202, answer.text
    reasons = await house.sql(
        "SELECT reason FROM retry_requests WHERE stream = %s UNION ALL"
        " SELECT data ->> 'reason' FROM events WHERE type = 'OperatorActRequested'"
        " AND data ->> 'target' = %s",
        stream,
        f"{path}/{stream}/retry",
    )
    customer = subject_of("customer", shop.customer)
    keys = await house.sql("SELECT key_id FROM subject_keys WHERE subject = %s", customer)
    assert [key_ids(one) for (one,) in reasons] == [{key} for (key,) in keys] * 2
    shown = (await api.get(path, params={"stream": stream})).json()["retries"]
    assert [one["reason"] for one in shown] == [REASON]
    assert REASON not in await stored(house.database)
    await house.personal.destroy(customer, "test")
    shown = (await api.get(path, params={"stream": stream})).json()["retries"]
    assert [one["reason"] for one in shown] == [ERASED]


async def test_why_an_endpoint_was_disabled_is_stored_sealed(
    api: httpx.AsyncClient, house: House, shop: Shop
) -> None:
    new = {
        "merchant": shop.merchant,
        "url": "https://hooks.example.org/handrail",
        "events": ["ordering.OrderPlaced.v1"],
    }
    path = (
        f"/webhook-endpoints/{(await api.post('/webhook-endpoints', json=new)).json()['endpoint']}"
    )
    for act in ("disable", "enable"):
        answer = await api.post(f"{path}/{act}", json=WHY)
        assert answer.status_code == 200, answer.text
        assert answer.json()["state_because"] == REASON
        assert REASON not in await stored(house.database)


async def test_what_is_said_of_many_sagas_is_erased_with_the_customer_of_each(
    impatient: httpx.AsyncClient, house: House, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to="addr_undeliverable")
    many = {
        **WHY,
        "kind": "correct",
        "correction": {"ship_to": "addr_ok"},
        "evidence": f"letter of {REASON}",
        "filter": {"merchant": shop.merchant, "step": "BookShipment"},
        "dry_run": False,
    }
    answer = await impatient.post("/interventions", json=many, headers={"Idempotency-Key": a_key()})
    assert answer.status_code == 202, answer.text
    await settled(impatient, saga, "completed")
    stream = f"/streams/saga-{saga}"
    assert REASON in (await impatient.get(stream)).text
    await house.personal.destroy(subject_of("customer", shop.customer), "test")
    told = (await impatient.get(stream)).text
    assert REASON not in told
    assert ERASED in told
