"""Personal texts that come in over HTTP are in clear in no store, and in the answers only."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from handrail.personal import ERASED, is_sealed
from tests.api.conftest import House
from tests.api.shop import Shop, a_key, place, read, settled
from tests.api.test_interventions import parked

CARD = "canary-4111_ok"
STREET = "canary-street-7_ok"
REASON = "Ann Canary rang about it"
EVIDENCE = "letter of Ann Canary,\nsee the file"


async def stored(url: str) -> str:
    """Every row of every table, as text."""
    async with await psycopg.AsyncConnection.connect(url) as owner:
        tables = await owner.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'm')"
            " AND relnamespace = 'public'::regnamespace"
        )
        found = []
        for (name,) in await tables.fetchall():
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))
            found += [row for (row,) in await (await owner.execute(query)).fetchall()]
    return "\n".join(found)


async def history(house: House, workflow: str) -> bytes:
    """All that Temporal keeps of a workflow."""
    found = await house.temporal.get_workflow_handle(workflow).fetch_history()
    return b"".join(event.SerializeToString() for event in found.events)


@pytest.fixture
async def corrected(impatient: httpx.AsyncClient, shop: Shop) -> str:
    """An order whose saga was parked, and corrected with words about a person."""
    saga = await parked(impatient, shop, card=CARD, ship_to="addr_error_3")
    asked = {
        "kind": "correct",
        "correction": {"ship_to": STREET},
        "reason": REASON,
        "actor": "ops",
    }
    path, key = f"/sagas/{saga}/interventions", {"Idempotency-Key": a_key()}
    answer = await impatient.post(path, json=asked, headers=key)
    assert answer.status_code == 202, answer.text
    await settled(impatient, saga)
    again = await impatient.post(path, json=asked, headers=key)
    assert again.status_code == 202, again.text
    return saga


async def test_no_personal_text_of_an_order_is_stored_in_clear(
    house: House, impatient: httpx.AsyncClient, corrected: str
) -> None:
    done = await settled(impatient, corrected)
    assert done["status"] == "completed"
    rows = await stored(house.database)
    for text in (CARD, STREET, REASON):
        assert text not in rows


async def test_temporal_keeps_no_personal_text_in_clear(house: House, corrected: str) -> None:
    kept = await history(house, corrected)
    for text in (CARD, STREET, REASON):
        assert text.encode() not in kept


async def test_who_may_read_a_saga_reads_what_was_said_of_it(
    impatient: httpx.AsyncClient, corrected: str
) -> None:
    done = await read(impatient, f"/sagas/{corrected}", lambda found: found["timeline"])
    [resumed] = [one for one in done["timeline"] if one["what"] == "SagaResumed"]
    assert resumed["reason"] == REASON
    assert STREET in resumed["correction"]


async def test_the_audit_trail_and_the_live_stream_are_opened_on_their_way_out(
    impatient: httpx.AsyncClient, corrected: str
) -> None:
    trail = await impatient.get(f"/streams/saga-{corrected}")
    [resumed] = [one for one in trail.json()["items"] if one["type"] == "SagaResumed"]
    assert resumed["data"]["reason"] == REASON
    live = await impatient.get(f"/sagas/{corrected}/events")
    assert REASON in live.text


async def test_the_carrier_is_asked_in_clear(
    house: House, impatient: httpx.AsyncClient, corrected: str
) -> None:
    booked = await impatient.get(f"/streams/shipment-{corrected}")
    assert [one["type"] for one in booked.json()["items"]] == ["ShipmentBooked"]


async def test_a_plan_knows_its_card_sealed(house: House, corrected: str) -> None:
    [(card,)] = await house.sql(
        "SELECT data ->> 'card' FROM events WHERE stream = %s AND type = 'PlanOpened'",
        f"plan-{corrected}",
    )
    assert is_sealed(card)
    assert await house.personal.open(card) == CARD


async def test_a_cancellation_is_sealed_for_the_customer_of_the_order(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to="addr_error_9")
    answer = await impatient.post(
        f"/sagas/{saga}/interventions",
        json={"kind": "resolve", "evidence": EVIDENCE, "reason": REASON, "actor": "ops"},
        headers={"Idempotency-Key": a_key()},
    )
    assert answer.status_code == 202, answer.text
    await settled(impatient, saga)
    [(evidence,)] = await house.sql(
        "SELECT data ->> 'evidence' FROM events WHERE stream = %s AND type = 'SagaResumed'",
        f"saga-{saga}",
    )
    [(subject,)] = await house.sql(
        "SELECT subject FROM subject_keys WHERE key_id = %s", evidence.split(":")[1]
    )
    assert subject == f"customer:{shop.customer}"
    assert await house.personal.open(evidence) == EVIDENCE


async def test_a_request_that_is_repeated_is_known_though_it_was_sealed(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    headers = {"Idempotency-Key": a_key(), "Handrail-Token": shop.token}
    first = await api.post("/orders", json=shop.order(card=CARD), headers=headers)
    again = await api.post("/orders", json=shop.order(card=CARD), headers=headers)
    other = await api.post("/orders", json=shop.order(card="card_other"), headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert other.status_code == 422


async def test_once_its_subject_is_erased_nothing_is_read_of_it(
    house: House, impatient: httpx.AsyncClient, shop: Shop, corrected: str
) -> None:
    await house.personal.destroy(f"customer:{shop.customer}", "dpo")

    def said(found: Any) -> bool:
        return any(one["what"] == "SagaResumed" for one in found["timeline"])

    done = await read(impatient, f"/sagas/{corrected}", said)
    [resumed] = [one for one in done["timeline"] if one["what"] == "SagaResumed"]
    assert resumed["reason"] == ERASED
    assert STREET not in resumed["correction"]


async def test_a_sealed_text_from_outside_is_refused(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    text = await house.personal.seal_text("theirs", "ship_to", "customer:another")
    saga = await parked(impatient, shop, ship_to="addr_error_9")
    asked = {"kind": "correct", "correction": {"ship_to": text}, "reason": "r", "actor": "ops"}
    answer = await impatient.post(
        f"/sagas/{saga}/interventions", json=asked, headers={"Idempotency-Key": a_key()}
    )
    placed = await place(impatient, shop, ship_to=text)
    assert (answer.status_code, placed.status_code) == (422, 422)
