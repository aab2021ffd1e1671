"""A merchant with stock, a customer with credit, and orders of theirs, all over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from tests.controls import a_customer, a_merchant, a_sku

T = TypeVar("T")

IN_STOCK = 10
A_LONG_TIME = 60.0  # seconds
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.1  # seconds


@dataclass(frozen=True)
class Shop:
    merchant: str
    customer: str
    sku: str
    token: str
    """Of what was written last: with it, orders find all of this."""

    def order(self, **changes: Any) -> dict[str, Any]:
        return {
            "customer": self.customer,
            "merchant": self.merchant,
            "lines": [self.line()],
            "instalments": 3,
            "card": "card_ok",
            "ship_to": "addr_ok",
        } | changes

    def line(self, **changes: Any) -> dict[str, Any]:
        price = {"amount": 50_00, "currency": "EUR"}
        return {"sku": self.sku, "quantity": 2, "unit_price": price} | changes


async def open_shop(
    api: httpx.AsyncClient, *, limit: int = 10_000_00, stock: int = IN_STOCK
) -> Shop:
    merchant, customer, sku = a_merchant(), a_customer(), a_sku()
    opened = await api.put(f"/merchants/{merchant}", json={"currency": "EUR", "fee_bps": 250})
    assert opened.status_code == 201, opened.text
    assigned = await api.put(
        f"/customers/{customer}/limit", json={"limit": {"amount": limit, "currency": "EUR"}}
    )
    assert assigned.status_code == 200, assigned.text
    received = await api.post(
        f"/merchants/{merchant}/stock",
        json={"sku": sku, "delivery": "first", "quantity": stock},
        headers={"Handrail-Token": opened.headers["Handrail-Token"]},
    )
    assert received.status_code == 201, received.text
    return Shop(merchant, customer, sku, received.headers["Handrail-Token"])


def a_key() -> str:
    return uuid4().hex


async def place(
    api: httpx.AsyncClient, shop: Shop, *, wait: int | None = 20, **changes: Any
) -> httpx.Response:
    prefer = {} if wait is None else {"Prefer": f"wait={wait}"}
    return await api.post(
        "/orders",
        json=shop.order(**changes),
        headers={"Idempotency-Key": a_key(), "Handrail-Token": shop.token, **prefer},
    )


async def eventually(look: Callable[[], Awaitable[T | None]], what: str) -> T:
    """What is looked for, soon after it is there: sagas and read models go their own pace. Each
    look takes work from what is waited for, so the longer it lasts, the less often one is taken.
    """
    deadline, pause = time.monotonic() + A_LONG_TIME, SHORTEST_PAUSE
    while not (found := await look()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(pause)
        pause = min(1.3 * pause, LONGEST_PAUSE)
    return found


async def read(api: httpx.AsyncClient, path: str, which: Callable[[Any], bool]) -> Any:
    """The body at this address, once it is the one that is waited for."""

    found = httpx.Response(0)

    async def look() -> Any:
        nonlocal found
        found = await api.get(path)
        return found.json() if found.status_code == 200 and which(found.json()) else None

    try:
        return await eventually(look, path)
    except AssertionError as error:
        error.add_note(f"At last it was {found.status_code}: {found.text}")
        raise


async def refused_as(ask: Callable[[], Awaitable[httpx.Response]], slug: str) -> httpx.Response:
    """The answer, once it is this problem: a saga tells its end a moment before it is closed."""

    async def look() -> httpx.Response | None:
        found = await ask()
        return found if found.json()["type"] == f"/problems/{slug}" else None

    return await eventually(look, slug)


async def settled(api: httpx.AsyncClient, saga: str, *statuses: str) -> Any:
    wanted = statuses or ("completed", "refused", "compensated")
    return await read(api, f"/sagas/{saga}", lambda found: found["status"] in wanted)


def problem(answer: httpx.Response, status: int, slug: str) -> Any:
    """The problem, which is the one that was expected."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found = answer.json()
    assert (answer.status_code, found["type"]) == (status, f"/problems/{slug}"), answer.text
    assert found["status"] == status
    assert found["request_id"] == answer.headers["x-request-id"]
    return found
