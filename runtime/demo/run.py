"""Checkouts over HTTP through everything there is, some of them going wrong; then the proof."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from rich.console import Console

from handrail.dev.stack import Stack, State
from handrail.temporal.connection import connect
from handrail.terminal_tables import Column, Table, terminal
from handrail.verify.proof import show
from runtime.app import HANDRAIL
from runtime.demo import scenario
from runtime.demo.after_checkout import Afterwards, afterwards
from runtime.demo.consumers import consumed
from runtime.demo.customers import AT_ONCE, Outcome, drive, sagas_of
from runtime.demo.notifications import told
from runtime.settings import ShopSettings
from runtime.verify import prove

_BY_INTEREST: Final = (
    "compensated",
    "refused",
    "parked",
    "completed",
    "compensating",
    "running",
)
ENDINGS: Final = ("completed", "refused", "compensated", "parked")


async def demo(
    settings: ShopSettings,
    *,
    orders: int,
    merchants: int,
    faults: float,
    seed: int,
    broker: bool,
    json: bool,
    wide: bool = False,
) -> int:
    """0 where all orders reached an end and every invariant holds."""
    console = terminal(json=json, wide=wide)
    plan = scenario.make(orders=orders, merchants=merchants, faults=faults, seed=seed)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=settings.data_dir))
    # Shorter than in earnest, so that nobody waits half a minute to see a bank that stays silent.
    brisk = settings.model_copy(
        update={"api_port": 0, "step_deadline_seconds": 6, "step_patience_seconds": 20}
    )
    with console.status("starting") as status:

        def progress(component: str, state: State) -> None:
            status.update(f"{component} {state}")

        stack = Stack(
            HANDRAIL,
            brisk,
            data_dir=folder,
            notifiers=1,
            consumers=True,
            broker=broker,
            progress=progress,
        )
        async with stack:
            status.stop()
            console.print(f"Console {stack.console}", markup=False)
            console.print(f"API {stack.api_url}/docs · Temporal UI {stack.temporal_ui_url}")
            console.print(f"Sign-in: {stack.sign_in}", markup=False)
            outcome = await drive(stack.api_url, stack.database_url, plan, console)
            temporal = await connect(stack.settings, HANDRAIL.codec)
            later = await afterwards(stack.api_url, temporal, list(outcome.sagas.values()), console)
            outcome.sagas = await sagas_of(stack.api_url, outcome)
            services = await consumed(stack.database_url)
            messages = await told(stack.database_url, stack.address_of("provider"))
            proof = await prove.prove(
                stack.database_url,
                stack.address_of("bank"),
                stack.address_of("carrier"),
                temporal,
            )
            sample = await _sample(stack.api_url, outcome)
    invariants = {
        **proof.as_json(),
        "feed_seen_live_once_in_order": not outcome.feed_violations,
        "services_have_their_events": all(one.complete for one in services),
        "customers_were_told_once": messages.complete,
    }
    _report(console, outcome, sample)
    way = "the broker" if broker or settings.broker_url else "the store"
    for one in services:
        console.print(f"{one.consumer}: {one.handled} of {one.wanted} events, from {way}")
    console.print(str(messages))
    show(proof, console)
    for violation in outcome.feed_violations:
        console.print(f"[red]✗[/red] {violation}")
    ended = sum(outcome.count(ending) for ending in ENDINGS)
    good = all(invariants.values()) and ended == orders == len(outcome.started) and later.good
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"[red]Not as it should be.[/red] Logs and data are kept in {folder}")
    console.print("To look around yourself: handrail up prints the address of the console first")
    if json:
        figures = _figures(outcome, orders, invariants, later)
        print(orjson.dumps(figures).decode())
    return 0 if good else 1


async def _sample(api_url: str, outcome: Outcome) -> dict[str, Any] | None:
    """The saga with most to tell, of those that were taken back if there are any."""
    by_interest = sorted(
        outcome.sagas.values(),
        key=lambda saga: (_BY_INTEREST.index(saga["status"]), -saga["version"]),
    )
    if not by_interest:
        return None
    async with httpx.AsyncClient(base_url=api_url, timeout=10) as client:
        saga: dict[str, Any] = (await client.get(f"/sagas/{by_interest[0]['saga']}")).json()
        return saga


def _report(console: Console, outcome: Outcome, sample: dict[str, Any] | None) -> None:
    table_of_endings(list(outcome.sagas.values())).print(console)
    if outcome.decision_ms:
        p50, p99 = _percentiles(outcome.decision_ms)
        console.print(f"decision: p50 {p50:.0f} ms, p99 {p99:.0f} ms, with {AT_ONCE} in flight")
    console.print(
        f"{outcome.replayed} requests were sent twice and taken once;"
        f" {outcome.too_late} cancellations came too late"
    )
    if sample:
        table_of_timeline(sample).print(console)


def table_of_endings(sagas: Sequence[Mapping[str, Any]]) -> Table:
    reasons = Counter((saga["status"], saga["because"] or "-") for saga in sagas)
    table = Table(
        (Column("ending"), Column("because", kind="text"), Column("orders", right=True)),
        title="What became of the orders",
    )
    for (status, because), count in sorted(reasons.items()):
        table.add(status, because, str(count))
    return table


def table_of_timeline(saga: Mapping[str, Any]) -> Table:
    timeline = Table(
        (Column("at", rank=1), Column("what"), Column("step"), Column("outcome", kind="text")),
        title=f"Saga {saga['saga']}",
    )
    for entry in saga["timeline"]:
        undone = " (undo)" if entry["direction"] == "undo" else ""
        detail = entry["outcome"] or entry["cause"] or entry["reason"] or ""
        timeline.add(entry["at"][11:23], entry["what"], f"{entry['step'] or ''}{undone}", detail)
    return timeline


def _figures(
    outcome: Outcome, orders: int, invariants: Mapping[str, bool], later: Afterwards
) -> dict[str, Any]:
    p50, p99 = _percentiles(outcome.decision_ms)
    return {
        "orders": orders,
        **{ending: outcome.count(ending) for ending in ENDINGS},
        "reasons": dict(Counter(s["because"] for s in outcome.sagas.values() if s["because"])),
        "seconds": round(outcome.seconds, 3),
        "decision_ms": {"p50": round(p50, 1), "p99": round(p99, 1)},
        "replayed": outcome.replayed,
        "interventions": later.interventions,
        "instalments": later.instalments,
        "returns": later.returns,
        "invariants": dict(invariants),
    }


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:  # noqa: PLR2004
        return (values[0], values[0]) if values else (0.0, 0.0)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]
