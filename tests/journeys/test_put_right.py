"""The bank is away for half a minute; and a hundred orders are put right at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from rich.console import Console

from handrail.dev.stack import Stack
from handrail.temporal.client import connect
from runtime.app import HANDRAIL
from runtime.demo import scenario
from runtime.demo.customers import SETTLED, drive
from runtime.demo.scenario import Customer, Merchant, Order, Plan
from runtime.settings import ShopSettings
from runtime.verify import prove

ORDERS = 200
PARKED = 100
DOWN_FOR = 30  # seconds

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    settings = ShopSettings(
        data_dir=tmp_path_factory.mktemp("journey"),
        api_port=0,
        step_deadline_seconds=15,
        step_patience_seconds=60,
    )
    async with Stack(HANDRAIL, settings, temporal_ui=False) as stack:
        yield stack


async def test_every_order_reaches_an_end_though_the_bank_is_down_for_half_a_minute(
    stack: Stack,
) -> None:
    plan = scenario.make(orders=ORDERS, merchants=8, faults=0, seed=11, prefix="down-")
    async with httpx.AsyncClient() as client:
        told = await client.post(f"{stack.address_of('bank')}/faults", json={"down_for": DOWN_FOR})
        told.raise_for_status()
    outcome = await drive(stack.api_url, stack.database_url, plan, Console(stderr=True))
    assert len(outcome.started) == ORDERS
    standing = {order: outcome.sagas.get(order, {}).get("status") for order in outcome.started}
    assert {one for one in standing.values() if one not in SETTLED} == set()
    assert outcome.count("parked") == 0
    assert list(outcome.feed_violations) == []
    await _all_adds_up(stack)


async def test_a_hundred_parked_orders_are_put_right_by_one_intervention(stack: Stack) -> None:
    plan = _orders_to_nowhere()
    outcome = await drive(stack.api_url, stack.database_url, plan, Console(stderr=True))
    assert outcome.count("parked") == PARKED
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=30) as client:
        asked = {
            "filter": {
                "step": "BookShipment",
                "failure": "ShipmentDeclined",
                "merchant": "nowhere",
            },
            "kind": "correct",
            "correction": {"ship_to": "addr_ok"},
            "reason": "the carrier knows these addresses now",
            "actor": "ops",
            "per_second": 50,
        }
        dry = await client.post("/interventions", json={**asked, "dry_run": True})
        assert dry.json()["count"] == PARKED
        begun = await client.post(
            "/interventions",
            json={**asked, "dry_run": False},
            headers={"Idempotency-Key": "addresses"},
        )
        assert begun.status_code == httpx.codes.ACCEPTED
        board = await _once(client, "/interventions/addresses", lambda it: it["state"] != "running")
        assert (board["state"], board["accepted"], board["remaining"]) == ("finished", PARKED, 0)
        items = (await client.get("/interventions/addresses/items?limit=200")).json()["items"]
        assert {item["saga"] for item in items} == set(outcome.started)
        assert {item["status"] for item in items} == {"accepted"}
        for saga in outcome.started:
            ended = await _once(client, f"/sagas/{saga}", lambda it: it["ended_at"] is not None)
            assert ended["status"] == "completed"
            resumed = [one for one in ended["timeline"] if one["what"] == "SagaResumed"]
            assert [one["outcome"] for one in resumed] == ["correct"]
    await _all_adds_up(stack)


def _orders_to_nowhere() -> Plan:
    """The carrier declines each of them, after the payment was taken."""
    merchant = Merchant("nowhere", "EUR", 250, {"lamp": 50_00}, {"lamp": PARKED})
    customers = [Customer(f"nowhere-{n}", "EUR", 1_000_00) for n in range(PARKED)]
    price = {"amount": 50_00, "currency": "EUR"}
    orders = [
        Order(
            key=f"nowhere-{customer.id}",
            body={
                "customer": customer.id,
                "merchant": merchant.id,
                "lines": [{"sku": "lamp", "quantity": 1, "unit_price": price}],
                "instalments": 3,
                "card": "card_ok",
                "ship_to": "addr_undeliverable",
            },
            cancels=False,
            repeats=False,
        )
        for customer in customers
    ]
    return Plan([merchant], customers, orders)


async def _once(client: httpx.AsyncClient, path: str, condition: Any) -> Mapping[str, Any]:
    async with asyncio.timeout(90):
        while True:
            answer = await client.get(path)
            if answer.is_success and condition(found := answer.json()):
                return dict(found)
            await asyncio.sleep(0.2)


async def _all_adds_up(stack: Stack) -> None:
    temporal = await connect(
        stack.temporal_address, stack.settings.temporal_namespace, HANDRAIL.codec
    )
    companies = stack.address_of("bank"), stack.address_of("carrier")
    proof = await prove.prove(stack.database_url, *companies, temporal)
    assert {name: found for name, found in proof.violations.items() if found} == {}
