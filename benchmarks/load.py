"""Shops to order from, and two ways of ordering: at a steady rate, and as fast as it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import httpx

PRICE: Final = 10_00
PLENTY: Final = 1_000_000
"""Of stock and of credit: nothing that is measured may be refused by the business."""
UNDISPATCHED: Final = "addr_parcel_undispatched"
"""The carrier books it and is never heard of again: most benchmarks end with the booking."""
_AGAIN: Final = frozenset(
    {
        httpx.codes.TOO_MANY_REQUESTS,
        httpx.codes.SERVICE_UNAVAILABLE,
        httpx.codes.CONFLICT,  # the same order is being placed: its connection was lost
    }
)


@dataclass(frozen=True)
class Shop:
    merchant: str
    sku: str
    customers: Sequence[str]
    ship_to: str = UNDISPATCHED

    def order(self, number: int) -> dict[str, Any]:
        return {
            "customer": self.customers[number % len(self.customers)],
            "merchant": self.merchant,
            "lines": [{"sku": self.sku, "quantity": 1, "unit_price": _eur(PRICE)}],
            "instalments": 3,
            "card": "card_ok",
            "ship_to": self.ship_to,
        }


@dataclass
class Served:
    """What became of the orders of one window: the milliseconds until each decision, and the 429s
    on the way there. An undecided one was taken, and its customer no longer waits.
    """

    decision_ms: list[float] = field(default_factory=list)
    refused: int = 0
    asked_again: int = 0
    """For another reason than a 429: the answer was 503, or the connection broke."""
    undecided: int = 0

    @property
    def accepted(self) -> int:
        return len(self.decision_ms) + self.undecided


def _eur(cents: int) -> dict[str, Any]:
    return {"amount": cents, "currency": "EUR"}


async def open_shop(
    client: httpx.AsyncClient, name: str, *, customers: int, ship_to: str = UNDISPATCHED
) -> Shop:
    """A merchant with one article, and customers with credit; it returns when reads see them."""
    names = [f"{name}-c{number}" for number in range(customers)]
    shop = Shop(name, f"sku-{name}", names, ship_to)
    await _put(client, f"/merchants/{name}", {"currency": "EUR", "fee_bps": 100}, "/balance")
    for customer in shop.customers:
        limit = {"limit": _eur(PLENTY * PRICE)}
        await _put(client, f"/customers/{customer}", limit, "", to="/limit")
    delivery = {"sku": shop.sku, "delivery": "opening", "quantity": PLENTY}
    await _write(client, "POST", f"/merchants/{name}/stock", delivery, f"/merchants/{name}/stock")
    return shop


async def _put(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], seen_at: str, *, to: str = ""
) -> None:
    await _write(client, "PUT", path + to, body, path + seen_at)


async def _write(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any], seen_at: str
) -> None:
    written = await _answer(client, method, path, json=body)
    token = {"Handrail-Token": written.headers["Handrail-Token"], "Prefer": "wait=10"}
    await _answer(client, "GET", seen_at, headers=token)


async def _answer(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
    """Asks again where there is none yet; raises HTTPStatusError for an answer that is an error."""
    while True:
        answer = await client.request(method, path, **more)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            return answer.raise_for_status()
        await asyncio.sleep(float(answer.headers["Retry-After"]))


@dataclass
class Customers:
    """Whoever orders at one shop; each order has a key of its own over the whole benchmark."""

    client: httpx.AsyncClient
    shop: Shop
    _numbers: Any = field(default_factory=count)

    async def one_by_one(self, served: Served, *, orders: int) -> None:
        """Each when the one before was answered."""
        for _ in range(orders):
            await self._order(served, time.perf_counter())

    async def steadily(self, served: Served, *, every: float, after: float, until: float) -> None:
        """One order each `every` seconds, whether or not the one before was answered.

        The clock of an order starts when it was due, not when the client came round to it.
        """
        async with asyncio.TaskGroup() as group:
            due = time.perf_counter() + after
            while due < until:
                await asyncio.sleep(due - time.perf_counter())
                group.create_task(self._order(served, due))
                due += every

    async def greedily(self, served: Served, *, in_flight: int, until: float) -> None:
        """As many orders at once as that; who is told to come back later does so."""

        async def one_after_the_other() -> None:
            while (now := time.perf_counter()) < until:
                if not await self._order(served, now, until):
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(one_after_the_other())

    async def _order(self, served: Served, since: float, until: float | None = None) -> bool:
        """False where it would be decided after `until` only, and nobody wants it any more then."""
        number = next(self._numbers)
        headers = {"Idempotency-Key": f"{self.shop.merchant}-{number}", "Prefer": "wait=30"}
        body = self.shop.order(number)
        while True:
            try:
                answer = await self.client.post("/orders", json=body, headers=headers)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                served.asked_again += 1  # a connection that the other side had let go
                continue
            if answer.status_code not in _AGAIN:
                break
            if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                served.refused += 1
            else:
                served.asked_again += 1
            back = float(answer.headers["Retry-After"])
            if until is not None and time.perf_counter() + back > until:
                return False
            await asyncio.sleep(back)
        answer.raise_for_status()
        if answer.status_code == httpx.codes.OK:
            served.decision_ms.append((time.perf_counter() - since) * 1000)
        else:
            served.undecided += 1
        return True
