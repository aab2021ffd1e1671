"""Checkouts over HTTP through everything there is, some of them going wrong; then the proof."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from runtime import demo_plan, verify
from runtime.settings import Settings
from runtime.stack import Stack, State
from runtime.witness import Witness

AT_ONCE: Final = 16
"""Requests in flight: more than one merchant's shop, less than a load test."""

SETTLED: Final = frozenset({"completed", "refused", "compensated", "parked"})
SETTLE_SECONDS: Final = 180
ENDINGS: Final = ("completed", "refused", "compensated", "parked")


@dataclass
class Outcome:
    """What became of the orders."""

    started: dict[str, demo_plan.Order] = field(default_factory=dict)
    decision_ms: list[float] = field(default_factory=list)
    undecided: int = 0
    replayed: int = 0
    too_late: int = 0
    sagas: dict[str, dict[str, Any]] = field(default_factory=dict)

    def count(self, status: str) -> int:
        return sum(saga["status"] == status for saga in self.sagas.values())


async def demo(
    settings: Settings, *, orders: int, merchants: int, faults: float, seed: int, json: bool
) -> int:
    """0 where all orders reached an end and every invariant holds."""
    console = Console(stderr=json)
    plan = demo_plan.make(orders=orders, merchants=merchants, faults=faults, seed=seed)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=settings.data_dir))
    # Shorter than in earnest, so that nobody waits half a minute to see a bank that stays silent.
    brisk = settings.model_copy(
        update={"api_port": 0, "step_deadline_seconds": 6, "step_patience_seconds": 20}
    )
    with console.status("starting") as status:

        def progress(component: str, state: State) -> None:
            status.update(f"{component} {state}")

        stack = Stack(brisk, data_dir=folder, progress=progress)
        async with stack:
            status.stop()
            console.print(f"API {stack.api_url}/docs · Temporal UI {stack.temporal_ui_url}")
            outcome, seconds, seen = await _drive(stack, plan, console)
            proof = await verify.prove(stack.database_url, stack.bank_url, stack.carrier_url)
            sample = await _sample(stack.api_url, outcome)
    invariants = {**proof.as_json(), "feed_seen_live_once_in_order": not seen}
    _report(console, outcome, sample)
    verify.show(proof, console)
    for violation in seen:
        console.print(f"[red]✗[/red] {violation}")
    ended = sum(outcome.count(ending) for ending in ENDINGS)
    good = all(invariants.values()) and ended == orders == len(outcome.started)
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"[red]Not as it should be.[/red] Logs and data are kept in {folder}")
    if json:
        figures = _figures(outcome, orders, seconds, invariants)
        print(orjson.dumps(figures).decode())  # noqa: T201
    return 0 if good else 1


async def _drive(
    stack: Stack, plan: demo_plan.Plan, console: Console
) -> tuple[Outcome, float, Sequence[str]]:
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
        httpx.AsyncClient(base_url=stack.api_url, timeout=60, limits=limits) as client,
        Witness(stack.database_url) as witness,
    ):
        with bars:
            await _at_once(bars, "merchants and limits", _accounts(client, plan))
            await _at_once(bars, "stock", _deliveries(client, plan))
            began = time.perf_counter()
            await _at_once(
                bars,
                "orders decided",
                [_check_out(client, order, outcome) for order in plan.orders],
            )
            await _settled(client, outcome, bars)
            seconds = time.perf_counter() - began
        await witness.caught_up()
    return outcome, seconds, witness.violations


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


def _accounts(
    client: httpx.AsyncClient, plan: demo_plan.Plan
) -> Sequence[Coroutine[Any, Any, None]]:
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
    return [*merchants, *customers]


def _deliveries(
    client: httpx.AsyncClient, plan: demo_plan.Plan
) -> Sequence[Coroutine[Any, Any, None]]:
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


async def _seed(
    client: httpx.AsyncClient,
    path: str,
    body: Mapping[str, Any],
    *,
    seen_at: str,
    method: str = "PUT",
) -> None:
    """Write, and wait with the token until a read sees it: orders are checked against reads."""
    written = await client.request(method, path, json=body)
    written.raise_for_status()
    token = {"Handrail-Token": written.headers["Handrail-Token"], "Prefer": "wait=10"}
    (await client.get(seen_at, headers=token)).raise_for_status()


async def _check_out(client: httpx.AsyncClient, order: demo_plan.Order, outcome: Outcome) -> None:
    headers = {"Idempotency-Key": order.key, "Handrail-Actor": order.body["customer"]}
    if order.cancels:
        answer = await client.post("/orders", json=order.body, headers=headers)
        answer.raise_for_status()
        outcome.started[answer.json()["order"]] = order
        await _cancel(client, answer.json()["order"], outcome)
        return
    asked = time.perf_counter()
    answer = await client.post("/orders", json=order.body, headers={**headers, "Prefer": "wait=20"})
    answer.raise_for_status()
    outcome.started[answer.json()["order"]] = order
    if answer.status_code == httpx.codes.OK:
        outcome.decision_ms.append((time.perf_counter() - asked) * 1000)
    else:
        outcome.undecided += 1
    if order.repeats:
        again = await client.post("/orders", json=order.body, headers=headers)
        again.raise_for_status()
        outcome.replayed += again.json()["order"] == answer.json()["order"]


async def _cancel(client: httpx.AsyncClient, order: str, outcome: Outcome) -> None:
    body = {"reason": "the customer changed their mind"}
    answer = await client.post(f"/orders/{order}/cancellation", json=body)
    if answer.status_code == httpx.codes.CONFLICT:
        outcome.too_late += 1
    else:
        answer.raise_for_status()


async def _settled(client: httpx.AsyncClient, outcome: Outcome, bars: Progress) -> None:
    """Wait until every saga has ended or waits for a person."""
    bar = bars.add_task("sagas settled", total=len(outcome.started))
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                outcome.sagas = await _sagas(client, outcome.started)
                done = sum(saga["status"] in SETTLED for saga in outcome.sagas.values())
                bars.update(bar, completed=done)
                if done == len(outcome.started):
                    return
                await asyncio.sleep(0.25)


async def _sagas(client: httpx.AsyncClient, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    path: str | None = "/sagas?limit=200"
    while path:
        answer = await client.get(path)
        answer.raise_for_status()
        found |= {saga["saga"]: saga for saga in answer.json()["items"]}
        path = answer.links.get("next", {}).get("url")
    return {saga: found[saga] for saga in wanted if saga in found}


async def _sample(api_url: str, outcome: Outcome) -> dict[str, Any] | None:
    """One saga worth looking at: one that was taken back, if there is one."""
    by_interest = sorted(
        outcome.sagas.values(),
        key=lambda saga: (
            "compensated",
            "refused",
            "parked",
            "completed",
            "running",
            "compensating",
        ).index(saga["status"]),
    )
    if not by_interest:
        return None
    async with httpx.AsyncClient(base_url=api_url, timeout=10) as client:
        saga: dict[str, Any] = (await client.get(f"/sagas/{by_interest[0]['saga']}")).json()
        return saga


def _report(console: Console, outcome: Outcome, sample: dict[str, Any] | None) -> None:
    reasons = Counter((saga["status"], saga["because"] or "-") for saga in outcome.sagas.values())
    table = Table("ending", "because", "orders", title="What became of the orders")
    for (status, because), count in sorted(reasons.items()):
        table.add_row(status, because, str(count))
    console.print(table)
    if outcome.decision_ms:
        p50, p99 = _percentiles(outcome.decision_ms)
        console.print(f"decision: p50 {p50:.0f} ms, p99 {p99:.0f} ms, with {AT_ONCE} in flight")
    console.print(
        f"{outcome.replayed} requests were sent twice and taken once;"
        f" {outcome.too_late} cancellations came too late"
    )
    if sample:
        timeline = Table("at", "what", "step", "outcome", title=f"Saga {sample['saga']}")
        for entry in sample["timeline"]:
            undone = " (undo)" if entry["direction"] == "undo" else ""
            said = entry["outcome"] or entry["cause"] or entry["reason"] or ""
            timeline.add_row(
                entry["at"][11:23], entry["what"], f"{entry['step'] or ''}{undone}", said[:60]
            )
        console.print(timeline)


def _figures(
    outcome: Outcome, orders: int, seconds: float, invariants: Mapping[str, bool]
) -> dict[str, Any]:
    p50, p99 = _percentiles(outcome.decision_ms)
    return {
        "orders": orders,
        **{ending: outcome.count(ending) for ending in ENDINGS},
        "reasons": dict(Counter(s["because"] for s in outcome.sagas.values() if s["because"])),
        "seconds": round(seconds, 3),
        "decision_ms": {"p50": round(p50, 1), "p99": round(p99, 1)},
        "replayed": outcome.replayed,
        "invariants": dict(invariants),
    }


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:  # noqa: PLR2004
        return (values[0], values[0]) if values else (0.0, 0.0)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]
