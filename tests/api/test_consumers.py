"""What waits at a consumer can be seen, worked off and discarded over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from consumers import finance
from domain.identifiers import MerchantId, OrderId, PayoutId
from domain.settlement.events import PayableAccrued, PayoutPrepared
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore, Recorded
from handrail.messaging.consumers.inbox import park, receive
from handrail.messaging.envelope import received_from_store
from handrail.personal import is_sealed
from runtime.app import HANDRAIL
from tests.api.conftest import API, WORKER, House
from tests.controls import eur

WHY = {"actor": "ann", "reason": "mended in 1.2.3"}


@pytest.fixture
async def merchant(house: House) -> str:
    """Of whom finance was paid two events, and could not handle the first."""
    merchant = MerchantId(f"m-{uuid4().hex[:8]}")
    accrued = PayableAccrued(
        merchant=merchant,
        order=OrderId("o"),
        gross=eur(100_00),
        fee=eur(2_90),
        balance=eur(97_10),
    )
    prepared = PayoutPrepared(
        merchant=merchant, payout=PayoutId("p"), amount=eur(50_00), balance=eur(47_10)
    )
    stream = f"merchant-{merchant}"
    async with open_pool(house.database, role=WORKER, size=2) as pool:
        await EventStore(pool, HANDRAIL.codec).append([(stream, ANY_VERSION, [accrued, prepared])])
    async with open_pool(house.database, role=API, size=2) as pool:
        rows = await house.sql(
            "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
            " FROM events WHERE stream = %s ORDER BY version",
            stream,
        )
        first, second = (received_from_store(Recorded(*row), HANDRAIL.codec) for row in rows)
        async with pool.connection() as connection:
            await park(connection, finance.CONSUMER, first, "KeyError: 'nobody'", 3)
            await receive(connection, finance.CONSUMER, second)
    return merchant


async def settled_by(house: House, merchant: str) -> list[tuple[Any, ...]]:
    """How each message was settled, by whom and why: the reason is stored sealed."""
    rows = await house.sql(
        "SELECT settled_as, actor, reason FROM parked_messages WHERE stream = %s ORDER BY version",
        f"merchant-{merchant}",
    )
    assert all(is_sealed(reason) for _, _, reason in rows)
    return await house.personal.open(rows)


async def in_the_ledger(house: House, merchant: str) -> int:
    [(owed,)] = await house.sql(
        "SELECT coalesce(-sum(amount), 0)::int FROM ledger_lines WHERE account = 'payable'"
        " AND party = %s",
        merchant,
    )
    return int(owed)


async def waiting(api: httpx.AsyncClient, merchant: str) -> dict[str, Any] | None:
    path: str | None = "/consumers/finance/parked?limit=1"
    while path:
        answer = await api.get(path)
        for one in answer.json()["items"]:
            if one["stream"] == f"merchant-{merchant}":
                return dict(one)
        path = answer.links.get("next", {}).get("url")
    return None


async def test_consumers_are_listed_with_what_waits(api: httpx.AsyncClient, merchant: str) -> None:
    found = {one["name"]: one for one in (await api.get("/consumers")).json()["items"]}
    assert {"finance", "logistics"} <= set(found)
    assert found["finance"]["parked_messages"] >= 2
    assert "PayableAccrued" in found["finance"]["wants"]


async def test_what_waits_is_in_the_figures(
    house: House, api: httpx.AsyncClient, merchant: str
) -> None:
    async with house.api() as fresh:
        figures = (await fresh.get("/metrics")).text
    [[waiting]] = await house.sql(
        "SELECT count(*) FROM parked_messages WHERE settled_at IS NULL AND consumer = 'finance'"
    )
    assert waiting >= 2
    assert f'handrail_consumer_parked_messages{{consumer="finance"}} {waiting}.0' in figures
    assert 'handrail_consumer_parked_messages{consumer="logistics"} 0.0' in figures


async def test_a_stream_that_waits_says_since_when_and_why(
    api: httpx.AsyncClient, merchant: str
) -> None:
    found = await waiting(api, merchant)
    assert found
    assert (found["version"], found["type"], found["waiting"], found["attempts"]) == (
        1,
        "PayableAccrued",
        2,
        3,
    )
    assert found["cause"] == "KeyError: 'nobody'"

    messages = (await api.get(found["links"]["messages"])).json()["items"]
    assert [(one["version"], one["schema"]) for one in messages] == [(1, 1), (2, 1)]
    assert messages[0]["data"]["fee"] == {"amount": 2_90, "currency": "EUR"}


async def test_a_retry_handles_them_in_order_and_remembers_who_and_why(
    house: House, api: httpx.AsyncClient, merchant: str
) -> None:
    answer = await api.post(f"/consumers/finance/parked/merchant-{merchant}/retry", json=WHY)

    assert answer.status_code == 200
    assert (answer.json()["handled"], answer.json()["stopped_by"]) == (2, None)
    assert await waiting(api, merchant) is None
    assert await settled_by(house, merchant) == [("handled", "ann", "mended in 1.2.3")] * 2
    assert await in_the_ledger(house, merchant) == 47_10


async def test_a_retry_says_what_failed_again(
    house: House, api: httpx.AsyncClient, merchant: str
) -> None:
    await house.sql(
        "UPDATE parked_messages SET data = data - 'fee' WHERE version = 1 AND stream = %s",
        f"merchant-{merchant}",
    )

    answer = await api.post(f"/consumers/finance/parked/merchant-{merchant}/retry", json=WHY)

    assert answer.json()["handled"] == 0
    assert answer.json()["stopped_by"]["version"] == 1
    assert answer.json()["stopped_by"]["attempts"] == 4
    assert "fee" in answer.json()["stopped_by"]["cause"]


async def test_a_discarded_message_is_not_handled(
    house: House, api: httpx.AsyncClient, merchant: str
) -> None:
    path = f"/consumers/finance/parked/merchant-{merchant}"
    answer = await api.post(
        f"{path}/discard", json={"reason": "booked by hand"}, headers={"Handrail-Actor": "ben"}
    )
    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    await api.post(f"{path}/retry", json=WHY)

    assert await in_the_ledger(house, merchant) == -50_00
    assert await settled_by(house, merchant) == [
        ("discarded", "ben", "booked by hand"),
        ("handled", "ann", "mended in 1.2.3"),
    ]


@pytest.mark.parametrize("verb", ["retry", "discard"])
async def test_what_does_not_wait_is_not_found(api: httpx.AsyncClient, verb: str) -> None:
    for path in ("finance/parked/merchant-nobody", "weather/parked/merchant-nobody"):
        answer = await api.post(f"/consumers/{path}/{verb}", json=WHY)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize("verb", ["retry", "discard"])
async def test_nothing_is_settled_without_a_reason(
    api: httpx.AsyncClient, merchant: str, verb: str
) -> None:
    path = f"/consumers/finance/parked/merchant-{merchant}/{verb}"
    for body in ({}, {"reason": ""}):
        assert (await api.post(path, json=body)).status_code == 422
    assert await waiting(api, merchant)
