"""Hostile values in every field: each request is answered, and nothing unbounded is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail import bounds
from handrail.dev.postgres import EmbeddedPostgres
from tests.api.conftest import House, open_house
from tests.api.hostile import NUMBERS, TEXTS, VALUES, Attempt, attempts
from tests.api.shop import Shop, a_key, eventually, open_shop, place, problem, settled
from tests.api.test_webhooks import BANKS, TRUST, signed

pytestmark = pytest.mark.thorough

AT_ONCE = 8
LONGEST_TEXT = 2_100  # an evidence, which is the longest that is taken
LONGEST_DOCUMENT = 16 * 1024
IN_MANY = {
    "filter": {"step": "BookShipment", "merchant": "nobody"},
    "kind": "correct",
    "correction": {"ship_to": "addr_ok"},
    "reason": "the customer has moved",
    "dry_run": False,
}


@pytest.fixture(scope="module")
async def stage(
    postgres: EmbeddedPostgres, database_template: str, temporal: WorkflowEnvironment
) -> AsyncIterator[House]:
    """A house of its own: runs of payouts are begun in it, too."""
    async with open_house(postgres, database_template, temporal) as house:
        yield house


@pytest.fixture(scope="module")
async def hostile(stage: House) -> AsyncIterator[httpx.AsyncClient]:
    async with stage.api(webhooks_from=TRUST, deadline_seconds=10, patience_seconds=0.5) as client:
        yield client


@pytest.fixture(scope="module")
async def market(hostile: httpx.AsyncClient) -> Shop:
    return await open_shop(hostile, stock=100)


async def all_made(api: httpx.AsyncClient, waiting: Iterator[Attempt]) -> int:
    """How many there were."""
    made = 0

    async def make() -> None:
        nonlocal made
        for one in waiting:
            made += 1
            answer = await one.made(api)
            assert answer.status_code < 500, f"{one}: {answer.text[:500]}"
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json", one
                assert len(answer.content) < 64 * 1024, one
            if one.where.startswith("#/") and answer.status_code == 422:
                assert names(answer, one.where), f"{one}: {answer.text[:500]}"

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(make())
    return made


def names(answer: httpx.Response, where: str) -> bool:
    """Whether the problem names the field, or something in it, or the whole that it is in."""
    if answer.json()["type"] != "/problems/invalid-request":
        return True
    field, *_ = where.removeprefix("#/").split("/")
    pointers = [str(one.get("pointer")) for one in answer.json()["errors"]]
    return any(one == "#" or one.split("/")[1] == field for one in pointers)


async def test_every_field_of_every_request_bears_hostile_values(
    stage: House, hostile: httpx.AsyncClient
) -> None:
    described = (await hostile.get("/openapi.json")).json()
    made = await all_made(hostile, attempts(described, {("POST", "/interventions"): IN_MANY}))
    assert made > 4_000
    await nothing_unbounded_is_kept(stage)


async def test_a_correction_bears_hostile_values(
    stage: House, hostile: httpx.AsyncClient, market: Shop
) -> None:
    saga = (await place(hostile, market, wait=None, ship_to="addr_undeliverable")).json()["saga"]
    await settled(hostile, saga, "parked")
    path = f"/sagas/{saga}/interventions"
    for field in ("ship_to", "parcels", "order", "reply", "amount", "card"):
        for what, value in VALUES.items():
            if field == "ship_to" and bounds.ID.wrong_with(value) is None:
                continue
            body = {
                "id": f"int-{uuid4().hex}",
                "kind": "correct",
                "reason": "none",
                "correction": {field: value},
            }
            answer = await hostile.post(
                path,
                content=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code in {422, 400, 413}, (field, what, answer.text[:300])
    right = {"id": "right", "kind": "correct", "reason": "x", "correction": {"ship_to": "addr_ok"}}
    assert (await hostile.post(path, json=right)).status_code == 202
    assert (await settled(hostile, saga))["status"] == "completed"
    await nothing_unbounded_is_kept(stage)


async def test_a_plan_bears_hostile_wishes_and_goes_on(
    stage: House, hostile: httpx.AsyncClient, market: Shop
) -> None:
    order = (await place(hostile, market)).json()["order"]
    path = f"/orders/{order}/plan/reschedule"
    soon = datetime.now(UTC).date() + timedelta(days=400)

    async def read_once() -> bool | None:
        answer = await hostile.post(path, json={"number": 3, "due": str(soon)})
        return True if answer.status_code == 200 else None

    assert await eventually(read_once, "the plan is there, and is read")
    for name in ("number", "due", "actor"):
        for what, value in VALUES.items():
            if value is None or (name == "actor" and bounds.ACTOR.wrong_with(value) is None):
                continue
            wish = {"number": 3, "due": str(soon), "actor": "ann", name: value}
            answer = await hostile.post(
                path,
                content=json.dumps(wish).encode(),
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code in {422, 400, 413}, (name, what, answer.text)
    later = {"number": 3, "due": str(soon + timedelta(days=1))}
    assert (await hostile.post(path, json=later)).status_code == 200
    await nothing_unbounded_is_kept(stage)


async def test_a_webhook_bears_hostile_values(stage: House, hostile: httpx.AsyncClient) -> None:
    for name in ("order", "dispute", "amount"):
        for what, value in {**NUMBERS, **TEXTS}.items():
            data = {"order": "ord-1", "dispute": "d-1", "amount": {"amount": 1, "currency": "EUR"}}
            body = json.dumps({"type": "payment.disputed", "data": {**data, name: value}}).encode()
            answer = await hostile.post(
                "/webhooks/bank", content=body, headers=signed(f"msg_{uuid4().hex}", body, BANKS)
            )
            assert answer.status_code in {404, 422}, (name, what, answer.text)
    await nothing_unbounded_is_kept(stage)


async def test_a_problem_names_the_first_hundred_fields_only(
    hostile: httpx.AsyncClient,
) -> None:
    body = json.dumps({f"x{number}": 1 for number in range(5_000)}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": a_key()}
    found = problem(
        await hostile.post("/orders", content=body, headers=headers), 422, "invalid-request"
    )
    assert len(found["errors"]) == 100
    assert "more" in found["detail"]


async def nothing_unbounded_is_kept(stage: House) -> None:
    """Of all that is stored: no text, document or number beyond what a request may hold."""
    columns = await stage.sql(
        "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c"
        " JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"
        " AND c.data_type IN ('text', 'jsonb')"
    )
    assert columns
    for table, column, kind in columns:
        longest = LONGEST_TEXT if kind == "text" else LONGEST_DOCUMENT
        found = await stage.sql(
            f'SELECT left("{column}"::text, 200) FROM {table}'
            f' WHERE length("{column}"::text) > {longest}'
        )
        assert found == [], (table, column)
    numbers = await stage.sql(
        "SELECT number FROM events,"
        " jsonb_path_query(data, 'strict $.** ? (@.type() == \"number\")') AS number"
        " WHERE abs(number::text::numeric) > 1000000000000"
    )
    assert numbers == []
