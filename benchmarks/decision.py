"""How long a customer waits for the decision on an order, one customer at a time.

Handrail's clock runs from the HTTP request to its answer: idempotency, the saga's promises, the
pivot at a bank that is asked over HTTP, and everything stored. The peer's clock runs from the start
of a bare Temporal workflow to its result: ten activities that do nothing, on the same server.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from benchmarks.contenders.turns import Contender, contender
from benchmarks.load import Customers, Served, open_shop
from benchmarks.reporting import Result, bar, report
from runtime.settings import Settings
from runtime.stack import Stack

ORDERS: Final = 30
"""In each turn."""
ROUNDS: Final = 6
"""The first is not counted, and who begins changes from one to the next."""


@dataclass(frozen=True)
class Round:
    """Milliseconds: of each order, and of a workflow on average."""

    orders: Sequence[float]
    workflow: float


async def run(settings: Settings, *, json: bool) -> int:
    console = Console(stderr=json)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=settings.data_dir) as folder:
        chosen = {"api_port": 0, "log_level": "warning"}
        stack = Stack(settings.model_copy(update=chosen), data_dir=Path(folder), temporal_ui=False)
        async with (
            stack,
            httpx.AsyncClient(base_url=stack.api_url, timeout=60) as client,
            contender(
                "temporal",
                "benchmarks.contenders.plain_temporal",
                (stack.database_url, stack.temporal_address),
                log=Path(folder, "plain.log"),
                servers={"temporal_server": stack.temporal.pid} if stack.temporal else {},
            ) as plain,
        ):
            customers = Customers(client, await open_shop(client, "shop", customers=20))
            rounds = await _rounds(customers, plain, console)
    return report(_result(rounds), settings.data_dir, console, json=json)


async def _rounds(customers: Customers, plain: Contender, console: Console) -> Sequence[Round]:
    rounds = []
    with bar(console) as progress:
        task = progress.add_task("decisions", total=ROUNDS)
        for number in range(ROUNDS):
            if number % 2:
                orders = await _orders(customers)
                workflow = await _workflow(plain)
            else:
                workflow = await _workflow(plain)
                orders = await _orders(customers)
            rounds.append(Round(orders, workflow))
            progress.advance(task)
    return rounds[1:]


async def _orders(customers: Customers) -> Sequence[float]:
    served = Served()
    await customers.one_by_one(served, orders=ORDERS)
    if served.undecided:
        raise RuntimeError(f"{served.undecided} orders were not decided in time")
    return served.decision_ms


async def _workflow(plain: Contender) -> float:
    turn = await plain.turn(ORDERS, 1)
    await plain.settled()
    return 1000 * turn.seconds / turn.sagas


def _result(rounds: Sequence[Round]) -> Result:
    every = sorted(ms for one in rounds for ms in one.orders)
    ratios = [statistics.mean(one.orders) / one.workflow for one in rounds]
    return Result(
        name="decision",
        figures={
            "decision_p50_ms": round(statistics.median(every), 1),
            "decision_p99_ms": round(statistics.quantiles(every, n=100)[-1], 1),
            "decision_mean_ms": round(statistics.mean(every), 1),
            "temporal_mean_ms": round(statistics.median(one.workflow for one in rounds), 1),
        },
        ratios={"latency_vs_temporal": round(statistics.median(ratios), 2)},
        config={"orders": len(every), "rounds": len(rounds), "activities_of_peer": 10},
    )
