"""What an order costs the whole stack, and how many a second that leaves room for.

Ten merchants have one order each under way at any time, from the HTTP request to the decision.
What follows the decision goes on beside that, and is waited for before the clock stops: the CPU of
each process is counted over everything that an order sets off, except for its delivery and its
instalments, which come later.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
from rich.console import Console

from benchmarks.leftovers import until_completed
from benchmarks.load import Customers, Served, open_shop
from benchmarks.processor import cpu_seconds
from benchmarks.reporting import Result, bar, report
from benchmarks.scratch import quiet_stack, scratch_folder
from handrail.dev.stack import Stack
from handrail.settings import Settings

MERCHANTS: Final = 10
WARM_UP: Final = 10
"""Orders of each merchant, as those that follow."""
ORDERS: Final = 20
ROUNDS: Final = 3
COMPLETED_WITHIN: Final = 60.0  # seconds


@dataclass
class Round:
    served: Served = field(default_factory=Served)
    seconds: float = 0
    cpu: Mapping[str, float] = field(default_factory=dict)
    """Seconds, by process."""


async def run(settings: Settings, *, json: bool) -> int:
    console = Console(stderr=json)
    with scratch_folder(settings) as folder:
        stack = quiet_stack(settings, folder)
        async with (
            stack,
            httpx.AsyncClient(base_url=stack.api_url, timeout=60) as client,
        ):
            rounds = await _rounds(stack, client, console)
    return report(_result(rounds), settings.data_dir, console, json=json)


async def _rounds(stack: Stack, client: httpx.AsyncClient, console: Console) -> Sequence[Round]:
    with bar(console) as progress:
        task = progress.add_task("opening shops", total=ROUNDS + 1)
        customers = [
            Customers(client, await open_shop(client, f"m{number}", customers=3))
            for number in range(MERCHANTS)
        ]
        progress.update(task, description="ordering")
        rounds: list[Round] = []
        for each in (WARM_UP, *[ORDERS] * ROUNDS):
            placed = MERCHANTS * each + sum(one.served.accepted for one in rounds)
            rounds.append(await _round(stack, customers, each, placed))
            progress.advance(task)
    return rounds[1:]


async def _round(stack: Stack, customers: Sequence[Customers], each: int, placed: int) -> Round:
    """`placed` are the orders of this round and all before."""
    one, before, began = Round(), _cpu(stack), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for customer in customers:
            group.create_task(customer.one_by_one(one.served, orders=each))
    one.seconds = time.perf_counter() - began
    await until_completed(stack.database_url, placed, COMPLETED_WITHIN)
    after = _cpu(stack)
    one.cpu = {name: after[name] - before[name] for name in after}
    return one


def _cpu(stack: Stack) -> Mapping[str, float]:
    assert stack.temporal
    assert stack.postgres
    assert stack.api
    processes = {
        "temporal": stack.temporal.pid,
        "worker": stack.workers[0].pid,
        "api": stack.api.pid,
        "postgres": stack.postgres.pid,
        "projector": stack.projectors[0].pid,
        "bank": stack.simulators["bank"].pid,
        "carrier": stack.simulators["carrier"].pid,
    }
    return {name: cpu_seconds(pid) for name, pid in processes.items()}


def _result(rounds: Sequence[Round]) -> Result:
    decisions = [ms for one in rounds for ms in one.served.decision_ms]
    spent = {
        f"{name}_ms": round(
            statistics.median(1000 * one.cpu[name] / one.served.accepted for one in rounds), 1
        )
        for name in rounds[0].cpu
    }
    rate = statistics.median(one.served.accepted / one.seconds for one in rounds)
    return Result(
        "orders",
        figures={
            "orders_per_s": round(rate, 1),
            "decision_p50_ms": round(statistics.median(decisions), 1),
            "decision_p95_ms": round(statistics.quantiles(decisions, n=20)[-1], 1),
            "cpu_ms": round(sum(spent.values()), 1),
            **spent,
        },
        ratios={},
        config={"merchants": MERCHANTS, "orders_of_each": ORDERS, "rounds": ROUNDS},
    )
