"""Customers at work: they order over HTTP, change their minds, and ask again where none answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from handrail.verify.feed_verifier import Witness
from runtime.demo.notifications import contact
from runtime.demo.scenario import Order, Plan

AT_ONCE: Final = 16
"""Requests in flight: more than one merchant's shop, less than a load test."""

SETTLED: Final = frozenset({"completed", "refused", "compensated", "parked"})
SETTLE_SECONDS: Final = 180
PATIENCE_SECONDS: Final = 120
"""How long a customer asks again while the answer is 503, or none."""


@dataclass
class Outcome:
    """What became of the orders."""

    started: dict[str, Order] = field(default_factory=dict)
    decision_ms: list[float] = field(default_factory=list)
    undecided: int = 0
    replayed: int = 0
    too_late: int = 0
    sagas: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: float = 0
    feed_violations: Sequence[str] = ()
    one_more: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, order: str, asked: Order) -> None:
        self.started[order] = asked
        self.one_more.set()

    def count(self, status: str) -> int:
        return sum(saga["status"] == status for saga in self.sagas.values())


async def drive(
    api_url: str,
    database_url: str,
    plan: Plan,
    console: Console,
    *,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> Outcome:
    """Seed the accounts, send all orders, and wait until their sagas have ended or are parked.

    `meanwhile` is awaited once a third of the orders was decided, while the others go on.
    """
    outcome = Outcome()
    bars = Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    limits = httpx.Limits(max_connections=AT_ONCE * 2)
    async with (
        httpx.AsyncClient(base_url=api_url, timeout=60, limits=limits) as client,
        Witness(database_url) as witness,
    ):
        with bars:
            await _at_once(bars, "merchants, customers", _accounts(client, plan))
            await _at_once(bars, "stock", _deliveries(client, plan))
            began = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                if meanwhile:
                    group.create_task(_once(outcome, len(plan.orders) // 3, meanwhile))
                orders = [_check_out(client, order, outcome) for order in plan.orders]
                await _at_once(bars, "orders decided", orders)
            await _settled(client, outcome, bars)
            outcome.seconds = time.perf_counter() - began
        await witness.caught_up()
    outcome.feed_violations = witness.violations
    return outcome


async def _once(outcome: Outcome, started: int, act: Callable[[], Awaitable[None]]) -> None:
    while len(outcome.started) < started:
        await asyncio.wait_for(outcome.one_more.wait(), PATIENCE_SECONDS)
        outcome.one_more.clear()
    await act()


async def _at_once(bars: Progress, title: str, work: Sequence[Coroutine[Any, Any, None]]) -> None:
    bar = bars.add_task(title, total=len(work))
    places = asyncio.Semaphore(AT_ONCE)

    async def one(each: Coroutine[Any, Any, None]) -> None:
        async with places:
            await each
        bars.advance(bar)

    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each))


def _accounts(client: httpx.AsyncClient, plan: Plan) -> Sequence[Coroutine[Any, Any, None]]:
    merchants = (
        _seed(
            client,
            f"/merchants/{one.id}",
            {"currency": one.currency, "fee_bps": one.fee_bps},
            seen_at=f"/merchants/{one.id}/balance",
        )
        for one in plan.merchants
    )
    customers = (
        _seed(
            client,
            f"/customers/{one.id}/limit",
            {"limit": {"amount": one.limit, "currency": one.currency}},
            seen_at=f"/customers/{one.id}",
        )
        for one in plan.customers
    )
    contacts = (
        _put(client, f"/customers/{one.id}/contact", contact(one.id, number))
        for number, one in enumerate(plan.customers)
    )
    return [*merchants, *customers, *contacts]


def _deliveries(client: httpx.AsyncClient, plan: Plan) -> Sequence[Coroutine[Any, Any, None]]:
    return [
        _seed(
            client,
            path := f"/merchants/{one.id}/stock",
            {"sku": sku, "delivery": f"opening-{sku}", "quantity": quantity},
            seen_at=path,
            method="POST",
        )
        for one in plan.merchants
        for sku, quantity in one.stock.items()
    ]


async def _put(client: httpx.AsyncClient, path: str, body: Mapping[str, Any]) -> None:
    (await _asked(client, "PUT", path, body)).raise_for_status()


async def _seed(
    client: httpx.AsyncClient,
    path: str,
    body: Mapping[str, Any],
    *,
    seen_at: str,
    method: str = "PUT",
) -> None:
    """Write, and wait with the token until a read sees it: orders are checked against reads."""
    written = await _asked(client, method, path, body)
    written.raise_for_status()
    token = {"Handrail-Token": written.headers["Handrail-Token"], "Prefer": "wait=10"}
    (await client.get(seen_at, headers=token)).raise_for_status()


async def _asked(
    client: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any]
) -> httpx.Response:
    """Ask again while the answer is 503: what is set up here is the same however often it comes.

    Raises TimeoutError when it takes too long.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await client.request(method, path, json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            await asyncio.sleep(0.5)


async def _check_out(client: httpx.AsyncClient, order: Order, outcome: Outcome) -> None:
    headers = {"Idempotency-Key": order.key, "Handrail-Actor": order.body["customer"]}
    if order.cancels:
        answer = await _send(client, "/orders", order.body, headers)
        outcome.note(answer.json()["order"], order)
        await _cancel(client, answer.json()["order"], outcome)
        return
    asked = time.perf_counter()
    answer = await _send(client, "/orders", order.body, {**headers, "Prefer": "wait=20"})
    outcome.note(answer.json()["order"], order)
    if answer.status_code == httpx.codes.OK:
        outcome.decision_ms.append((time.perf_counter() - asked) * 1000)
    else:
        outcome.undecided += 1
    if order.repeats:
        again = await _send(client, "/orders", order.body, headers)
        outcome.replayed += again.json()["order"] == answer.json()["order"]


async def _cancel(client: httpx.AsyncClient, order: str, outcome: Outcome) -> None:
    body = {"reason": "the customer changed their mind"}
    answer = await _send(client, f"/orders/{order}/cancellation", body, {})
    outcome.too_late += answer.status_code == httpx.codes.CONFLICT


async def _send(
    client: httpx.AsyncClient, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> httpx.Response:
    """Ask again, with the same key, while the answer is 503 or none at all.

    Raises HTTPStatusError for any other error but a conflict, TimeoutError when it takes too long.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(httpx.TransportError):
                answer = await client.post(path, json=body, headers=headers)
                in_flight = path == "/orders" and answer.status_code == httpx.codes.CONFLICT
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE and not in_flight:
                    if answer.status_code != httpx.codes.CONFLICT:
                        answer.raise_for_status()
                    return answer
            await asyncio.sleep(0.5)


async def _settled(client: httpx.AsyncClient, outcome: Outcome, bars: Progress) -> None:
    """Wait until every saga has ended or waits for a person."""
    bar = bars.add_task("sagas settled", total=len(outcome.started))
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                with suppress(httpx.HTTPError):
                    outcome.sagas = await _sagas(client, outcome.started)
                done = sum(saga["status"] in SETTLED for saga in outcome.sagas.values())
                bars.update(bar, completed=done)
                if done == len(outcome.started):
                    return
                await asyncio.sleep(0.25)


async def sagas_of(api_url: str, outcome: Outcome) -> dict[str, dict[str, Any]]:
    """How they stand now."""
    async with httpx.AsyncClient(base_url=api_url, timeout=60) as client:
        return await _sagas(client, outcome.started)


async def _sagas(client: httpx.AsyncClient, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    path: str | None = "/sagas?limit=200"
    while path:
        answer = await client.get(path)
        answer.raise_for_status()
        found |= {saga["saga"]: saga for saga in answer.json()["items"]}
        path = answer.links.get("next", {}).get("url")
    return {saga: found[saga] for saga in wanted if saga in found}
