"""The simulators as processes: faults for everybody, restarts, clients that hang up."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from handrail.simulators.in_process import served
from runtime.simulators.bank import create_bank
from runtime.simulators.carrier import create_carrier
from runtime.simulators.provider import create_provider
from runtime.simulators.registry import create_registry
from tests.unencrypted import a_client

Create = Callable[[Path | None], FastAPI]
BANK = ("/authorisations", {"order": "o-1", "amount": 5, "currency": "EUR", "card": "card_ok"})
CARRIER = ("/bookings", {"order": "o-1", "merchant": "m", "ship_to": "addr_ok", "parcels": 1})
REGISTRY = ("/checks", {"merchant": "m", "registration": "reg_ok"})
PROVIDER = ("/messages", {"to": "someone", "channel": "push", "text": "Delivered"})
each = pytest.mark.parametrize(
    ("create", "request_"),
    [
        (create_bank, BANK),
        (create_carrier, CARRIER),
        (create_registry, REGISTRY),
        (create_provider, PROVIDER),
    ],
    ids=("bank", "carrier", "registry", "provider"),
)


@asynccontextmanager
async def running(create: Create, ledger: Path | None = None) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create(ledger)) as address, a_client(address) as client:
        yield client


def keys() -> Iterator[dict[str, str]]:
    return ({"Idempotency-Key": f"k-{number}"} for number in itertools.count())


async def ledger(client: httpx.AsyncClient) -> Any:
    return (await client.get("/ledger")).json()


async def outcomes(client: httpx.AsyncClient, path: str, body: Any) -> list[int]:
    return [
        (await client.post(path, json=body, headers=key)).status_code
        for key in itertools.islice(keys(), 40)
    ]


@pytest.mark.quick(1)
@each
async def test_down_means_down_until_it_is_over_or_told_anew(create: Create, request_: Any) -> None:
    path, body = request_
    async with running(create) as client:
        await client.post("/faults", json={"down_for": 3600})
        assert set(await outcomes(client, path, body)) == {503}
        assert (await client.get("/healthz")).status_code == 200
        await client.post("/faults", json={})
        assert set(await outcomes(client, path, body)) == {201}
        await client.post("/faults", json={"down_for": 0.1})
        async with asyncio.timeout(5):
            while 503 in await outcomes(client, path, body):
                pass


@pytest.mark.quick(1)
@each
async def test_random_errors_are_the_same_for_a_seed_and_hide_what_landed(
    create: Create, request_: Any
) -> None:
    path, body = request_
    seen = []
    for _ in range(2):
        async with running(create) as client:
            await client.post("/faults", json={"error_rate": 0.5, "seed": 7})
            statuses = await outcomes(client, path, body)
            landed = len(next(iter((await ledger(client)).values())))
            assert statuses.count(201) + statuses.count(504) == landed
            seen.append(statuses)
    assert seen[0] == seen[1]
    assert set(seen[0]) == {201, 500, 504}


@pytest.mark.quick(1)
@each
async def test_latency_delays_the_landing(create: Create, request_: Any) -> None:
    path, body = request_
    async with running(create) as client:
        await client.post("/faults", json={"latency_ms": 200})
        with pytest.raises(httpx.ReadTimeout):
            await client.post(path, json=body, headers=next(keys()), timeout=0.05)
        landed = await client.post(path, json=body, headers=next(keys()))
        assert landed.status_code == 201


@pytest.mark.quick(1)
@each
async def test_a_restart_forgets_neither_books_nor_answers(
    create: Create, request_: Any, tmp_path: Path
) -> None:
    path, body = request_
    key = next(keys())
    file = tmp_path / "ledger.jsonl"
    async with running(create, file) as client:
        first = await client.post(path, json=body, headers=key)
        before = await ledger(client)
    async with running(create, file) as client:
        assert await ledger(client) == before
        again = await client.post(path, json=body, headers=key)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        other = await client.post(path, json=body | {next(iter(body)): "other"}, headers=key)
        assert other.status_code == 422
        assert await ledger(client) == before


async def test_a_restart_forgets_no_door_that_was_shut(tmp_path: Path) -> None:
    path, body = BANK
    file = tmp_path / "ledger.jsonl"
    async with running(create_bank, file) as client:
        void = {"order": "o-1", "closes": "k-0"}
        await client.post("/voids", json=void, headers={"Idempotency-Key": "undo"})
    async with running(create_bank, file) as client:
        late = await client.post(path, json=body, headers=next(keys()))
        assert late.json() == {"status": "declined", "code": "voided"}


async def test_a_line_that_a_crash_tore_is_left_out(tmp_path: Path) -> None:
    path, body = BANK
    file = tmp_path / "ledger.jsonl"
    async with running(create_bank, file) as client:
        await outcomes(client, path, body)
        before = await ledger(client)
    with file.open("ab") as torn:
        torn.write(b'["k-99",{"order":"o-')
    for _ in range(2):
        async with running(create_bank, file) as client:
            assert await ledger(client) == before
            void = {"order": "o-1", "closes": "nothing"}
            voided = await client.post("/voids", json=void, headers={"Idempotency-Key": "undo"})
            assert voided.status_code == 201


async def test_what_is_still_on_its_way_does_not_hold_up_the_end() -> None:
    path, body = BANK
    async with asyncio.timeout(10):
        async with running(create_bank) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post(
                    path, json=body | {"card": "card_late_60"}, headers=next(keys()), timeout=0.05
                )
    assert not [task for task in asyncio.all_tasks() if "_land" in repr(task.get_coro())]


async def test_a_card_is_down_for_as_long_as_it_says() -> None:
    path, body = BANK
    ask: dict[str, Any] = {"json": body | {"card": "card_down_0.1"}, "headers": next(keys())}
    async with running(create_bank) as client:
        assert (await client.post(path, **ask)).status_code == 503
        async with asyncio.timeout(5):
            while (await client.post(path, **ask)).status_code != 201:
                pass


@each
async def test_a_malformed_request_is_told_apart_from_a_reused_key(
    create: Create, request_: Any
) -> None:
    path, body = request_
    async with running(create) as client:
        assert (await client.post(path, json=body)).status_code == 400
        incomplete = await client.post(path, json={"unknown": "o-1"}, headers=next(keys()))
        assert incomplete.status_code == 400


async def test_a_restart_of_the_bank_forgets_no_charge_refund_or_payout(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    money = {"amount": 5, "currency": "EUR"}
    asked = [
        ("/charges", {"order": "o-1", "card": "card_charge_declined_1"}),
        ("/charges", {"order": "o-1", "card": "card_charge_declined_1"}),
        ("/refunds", {"order": "o-1", "refund_id": "r-1"}),
        ("/payouts", {"payout": "p-1", "merchant": "m-1"}),
    ]
    async with running(create_bank, file) as client:
        first = [
            (await client.post(path, json=body | money, headers=key)).status_code
            for (path, body), key in zip(asked, keys(), strict=False)
        ]
        before = await ledger(client)
    async with running(create_bank, file) as client:
        assert await ledger(client) == before
    assert first == [402, 201, 201, 201]
    assert [len(before[kind]) for kind in ("charges", "refunds", "payouts")] == [1, 1, 1]


async def test_a_provider_takes_so_many_messages_a_second_and_says_when_it_takes_more() -> None:
    path, body = PROVIDER
    key = keys()
    async with running(create_provider) as client:
        await client.post("/limit", json={"per_second": 0.01})
        answers = [await client.post(path, json=body, headers=next(key)) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 429, 429]
        assert 90 <= int(answers[-1].headers["Retry-After"]) <= 100
        await client.post("/limit", json={"per_second": None})
        assert (await client.post(path, json=body, headers=next(key))).status_code == 201
        assert len((await ledger(client))["messages"]) == 2


@pytest.mark.parametrize("create", [create_bank, create_carrier], ids=["bank", "carrier"])
async def test_a_ledger_in_pages_has_the_entries_of_the_whole_one(create: Create) -> None:
    path, body = BANK if create is create_bank else CARRIER
    orders = ["o-3", "o-1", "o-10", "o-2", "o-1"]
    async with running(create) as client:
        for order, key in zip(orders, keys(), strict=False):
            await client.post(path, json=body | {"order": order}, headers=key)

        read, after, pages = list[dict[str, Any]](), "", 0
        while after is not None:
            asked = {"after": after, "limit": "3"}
            page = (await client.get("/ledger/entries", params=asked)).json()
            read, after, pages = [*read, *page["entries"]], page["next"], pages + 1

        whole = await ledger(client)
    assert pages == 2
    assert [one["about"] for one in read] == sorted(orders)
    by_key = {one["entry"]["key"]: (one["kind"], one["entry"]) for one in read}
    assert by_key == {
        entry["key"]: (kind, entry)
        for kind, several in whole.items()
        if isinstance(several, list)
        for entry in several
    }
