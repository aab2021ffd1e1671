"""Customers at an even pace, whatever the answers take; each request goes out once."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

MERCHANTS: Final = 12
CUSTOMERS: Final = 400
_LIMIT: Final = 2_000_000_000
_STOCK: Final = 1_000_000
_PRICE: Final = 4_990
_WAIT: Final = "wait=20"
_PATIENCE: Final = 60  # seconds


@dataclass(frozen=True)
class Answer:
    """`phase` is the one that its request was sent in."""

    phase: str
    order: str
    status: int
    milliseconds: float
    said: str = ""

    @property
    def failed(self) -> bool:
        return self.status not in {200, 202}


@dataclass
class Load:
    """`serving` has the addresses of the APIs that a balancer would send requests to."""

    serving: Sequence[str]
    name: str
    phase: str = ""
    answers: list[Answer] = field(default_factory=list)
    _numbers: Any = field(default_factory=itertools.count)

    async def seed(self) -> None:
        """Merchants, stock and customers, with more than enough of everything."""
        places = asyncio.Semaphore(8)

        async def ask(method: str, path: str, body: Any) -> None:
            async with places:
                answer = await client.request(method, path, json=body)
                answer.raise_for_status()
                last.append(answer.headers["Handrail-Token"])

        last: list[str] = []
        merchants = [f"{self.name}-m{one}" for one in range(MERCHANTS)]
        customers = [f"{self.name}-c{one}" for one in range(CUSTOMERS)]
        async with httpx.AsyncClient(base_url=self.serving[0], timeout=60) as client:
            terms = {"currency": "EUR", "fee_bps": 250}
            stock = {"sku": "lamp", "delivery": "opening-lamp", "quantity": _STOCK}
            limit = {"limit": {"amount": _LIMIT, "currency": "EUR"}}
            await asyncio.gather(*(ask("PUT", f"/merchants/{one}", terms) for one in merchants))
            await asyncio.gather(
                *(ask("POST", f"/merchants/{one}/stock", stock) for one in merchants),
                *(ask("PUT", f"/customers/{one}/limit", limit) for one in customers),
            )
            for token in last:
                read = {"Handrail-Token": token, "Prefer": "wait=30"}
                (await client.get(f"/customers/{customers[0]}", headers=read)).raise_for_status()

    async def press(self, seconds: float, at_once: int) -> None:
        """Orders as fast as they are decided, with `at_once` always under way."""
        until = time.monotonic() + seconds
        async with self._client() as client:

            async def customer() -> None:
                while time.monotonic() < until:
                    await self._order(client, next(self._numbers))

            await asyncio.gather(*(customer() for _ in range(at_once)))

    async def keep(self, per_second: float, stop: asyncio.Event) -> None:
        """Orders at an even pace until `stop` is set; returns once all are answered."""
        async with self._client() as client, asyncio.TaskGroup() as group:
            due = time.monotonic()
            while not stop.is_set():
                group.create_task(self._order(client, next(self._numbers)))
                due += 1 / per_second
                await asyncio.sleep(max(0, due - time.monotonic()))

    def orders(self) -> Sequence[str]:
        return [one.order for one in self.answers if one.order]

    def failed(self) -> Counter[str]:
        return Counter(
            f"{one.phase}: {one.status} {one.said}".strip() for one in self.answers if one.failed
        )

    def p95(self, phases: Sequence[str]) -> float:
        """Milliseconds to the decision."""
        took = [one.milliseconds for one in self.answers if one.phase in phases]
        return statistics.quantiles(took, n=20)[18] if len(took) > 1 else 0

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            timeout=_PATIENCE, limits=httpx.Limits(max_connections=400, keepalive_expiry=2)
        )

    async def _order(self, client: httpx.AsyncClient, number: int) -> None:
        phase, began = self.phase, time.perf_counter()
        url = self.serving[number % len(self.serving)]
        headers = {"Idempotency-Key": f"{self.name}-{number}", "Prefer": _WAIT}
        try:
            answer = await client.post(f"{url}/orders", json=self._body(number), headers=headers)
            status, said = answer.status_code, ""
            order = answer.json().get("order", "")
            if not order:
                said = str(answer.json().get("title", ""))
        except (httpx.HTTPError, ValueError) as error:
            status, order, said = 0, "", repr(error)
        took = (time.perf_counter() - began) * 1000
        self.answers.append(Answer(phase, order, status, took, said))

    def _body(self, number: int) -> dict[str, Any]:
        price = {"amount": _PRICE, "currency": "EUR"}
        return {
            "customer": f"{self.name}-c{number % CUSTOMERS}",
            "merchant": f"{self.name}-m{number % MERCHANTS}",
            "lines": [{"sku": "lamp", "quantity": 1, "unit_price": price}],
            "instalments": 3,
            "card": "card_ok",
            "ship_to": "addr_ok",
        }
