"""Orders for twenty minutes, at 60 % of what can be done, while processes are killed.

An order goes its whole way: by HTTP to its decision, then paid, shipped, and delivered by the
carrier's webhooks. There are two workers and two projectors. One of each is killed and started
again, in turns, once in every quarter; the others and the API live from the first order to the
last, take over what the killed ones leave behind, and theirs is the memory that must not grow.
At the end nothing may be left undone, and every invariant must hold over all that was stored.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.progress import Progress

from benchmarks.leftovers import Leftovers, settled
from benchmarks.load import Customers, Served, open_shop
from benchmarks.over_time import Sample, growth, points, quarter, watch
from benchmarks.reporting import Result, bar, report
from handrail.dev.stack import Stack
from handrail.settings import Settings
from handrail.temporal.client import connect
from handrail.verify.proof import SHOWN
from runtime.app import HANDRAIL
from runtime.verify import prove

SECONDS: Final = 20 * 60.0
CAPACITY_SECONDS: Final = 30.0
SHARE: Final = 0.6
"""Of the orders a second that are delivered in the end when customers order as fast as they can."""
MERCHANTS: Final = 20
CUSTOMERS: Final = 50
"""Of each merchant: so many that nobody has an unlikely number of open orders."""
SHOPS_AT_ONCE: Final = 4
IN_FLIGHT: Final = 3
"""Orders of each merchant at the same time, while it is measured what can be done."""
RESTARTS: Final = 8
"""A worker and a projector in each quarter: what a restart does to memory meets all alike."""
SAMPLES: Final = 240
SETTLE_SECONDS: Final = 180.0


@dataclass
class Soaked:
    capacity: float = 0
    """Orders a second, as is what was `offered`."""
    offered: float = 0
    restarts: int = 0
    served: Served = field(default_factory=Served)
    samples: Sequence[Sample] = ()
    left: Leftovers = field(default_factory=Leftovers)
    settle_seconds: float = 0
    violations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    events: int = 0


async def run(settings: Settings, *, json: bool) -> int:
    """0 where memory stays flat, nothing is left undone and every invariant holds."""
    console = Console(stderr=json)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    soaked = await soak(settings, console, seconds=SECONDS, capacity_seconds=CAPACITY_SECONDS)
    for name, found in soaked.violations.items():
        for one in found[:SHOWN]:
            console.print(f"{name}: {one}", highlight=False, markup=False)
    return report(result(soaked, SECONDS, settings), settings.data_dir, console, json=json)


async def soak(
    settings: Settings, console: Console, *, seconds: float, capacity_seconds: float
) -> Soaked:
    chosen = {"api_port": 0, "log_level": "warning"}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=settings.data_dir) as folder:
        stack = Stack(
            HANDRAIL,
            settings.model_copy(update=chosen),
            data_dir=Path(folder),
            workers=2,
            projectors=2,
            temporal_ui=False,
        )
        limits = httpx.Limits(max_connections=500)
        async with stack, httpx.AsyncClient(
            base_url=stack.api_url, timeout=60, limits=limits
        ) as client:  # fmt: skip
            with bar(console) as progress:
                return await _phases(stack, client, progress, seconds, capacity_seconds)


async def _phases(
    stack: Stack, client: httpx.AsyncClient, bars: Progress, seconds: float, capacity_seconds: float
) -> Soaked:
    soaked = Soaked()
    customers = await _shops(client, bars)
    first = Served()
    soaked.capacity = await _capacity(stack, customers, first, capacity_seconds, bars)
    soaked.offered = soaked.capacity * SHARE
    await _orders(stack, customers, soaked, seconds, bars)
    began = time.monotonic()
    task = bars.add_task("until nothing is left", total=1)
    accepted = first.accepted + soaked.served.accepted
    soaked.left = await settled(stack.database_url, accepted, SETTLE_SECONDS)
    soaked.settle_seconds = time.monotonic() - began
    bars.advance(task)
    task = bars.add_task("invariants", total=1)
    temporal = await connect(
        stack.temporal_address, stack.settings.temporal_namespace, HANDRAIL.codec
    )
    companies = stack.address_of("bank"), stack.address_of("carrier")
    proof = await prove.prove(stack.database_url, *companies, temporal)
    soaked.violations = {name: found for name, found in proof.violations.items() if found}
    soaked.events = proof.events
    bars.advance(task)
    return soaked


async def _shops(client: httpx.AsyncClient, bars: Progress) -> Sequence[Customers]:
    task = bars.add_task("opening shops", total=MERCHANTS)

    places = asyncio.Semaphore(SHOPS_AT_ONCE)

    async def one(number: int) -> Customers:
        async with places:
            shop = await open_shop(client, f"m{number}", customers=CUSTOMERS, ship_to="addr_ok")
        bars.advance(task)
        return Customers(client, shop)

    async with asyncio.TaskGroup() as group:
        opening = [group.create_task(one(number)) for number in range(MERCHANTS)]
    return [one.result() for one in opening]


async def _capacity(
    stack: Stack, customers: Sequence[Customers], served: Served, seconds: float, bars: Progress
) -> float:
    """Orders a second, from the first order to the last delivery."""
    task = bars.add_task("what can be done", total=1)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for one in customers:
            group.create_task(one.greedily(served, in_flight=IN_FLIGHT, until=began + seconds))
    left = await settled(stack.database_url, served.accepted, SETTLE_SECONDS)
    if left.total:
        raise RuntimeError(f"what can be done cannot be said: {left}")
    bars.advance(task)
    return served.accepted / (time.perf_counter() - began)


async def _orders(
    stack: Stack, customers: Sequence[Customers], soaked: Soaked, seconds: float, bars: Progress
) -> None:
    task = bars.add_task(f"{soaked.offered:.1f} orders a second", total=round(seconds))
    every = len(customers) / soaked.offered
    began = time.perf_counter()

    def done() -> int:
        bars.update(task, completed=round(time.perf_counter() - began))
        return len(soaked.served.decision_ms)

    assert stack.api is not None
    pids = {
        "worker": stack.workers[0].pid,
        "projector": stack.projectors[0].pid,
        "api": stack.api.pid,
    }
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch(pids, done, every=seconds / SAMPLES, seconds=seconds))
        group.create_task(_restarts(stack, soaked, began, seconds))
        for number, one in enumerate(customers):
            after, until = every * number / len(customers), began + seconds
            group.create_task(one.steadily(soaked.served, every=every, after=after, until=until))
    soaked.samples = watching.result()


async def _restarts(stack: Stack, soaked: Soaked, began: float, seconds: float) -> None:
    for number in range(RESTARTS):
        due = began + seconds * (number + 0.5) / RESTARTS
        await asyncio.sleep(due - time.perf_counter())
        victim = (stack.projectors if number % 2 else stack.workers)[1]
        await victim.kill()
        await victim.start()
        soaked.restarts += 1


def result(soaked: Soaked, seconds: float, settings: Settings) -> Result:
    decided = statistics.quantiles(soaked.served.decision_ms, n=100)
    processes = list(soaked.samples[0].memory)
    return Result(
        "soak",
        figures={
            "backlog": soaked.left.total,
            "invariants_broken": len(soaked.violations),
            "orders": soaked.served.accepted,
            "undecided": soaked.served.undecided,
            "asked_again": soaked.served.asked_again,
            "taken_back": soaked.left.taken_back,
            "events": soaked.events,
            "capacity_per_s": round(soaked.capacity, 2),
            "offered_per_s": round(soaked.offered, 2),
            "decision_p50_ms": round(decided[49], 1),
            "decision_p99_ms": round(decided[98], 1),
            "settled_after_s": round(soaked.settle_seconds, 1),
            **{f"{one}_memory_mb": round(quarter(soaked.samples, 4, one), 1) for one in processes},
            "over_time": points(soaked.samples),
        },
        ratios={f"{one}_memory_growth": round(growth(soaked.samples, one), 3) for one in processes},
        config={
            "minutes": round(seconds / 60, 2),
            "share_of_capacity": SHARE,
            "restarts": soaked.restarts,
            "workers": 2,
            "projectors": 2,
            "merchants": MERCHANTS,
            "customers": MERCHANTS * CUSTOMERS,
            "step_placement": settings.step_placement,
        },
    )
