"""How long a customer waits for the decision on an order, one customer at a time.

Handrail's clock runs from the HTTP request to its answer: idempotency, the saga's promises, the
pivot at a bank that is asked over HTTP, and everything stored. The peer's clock runs from the start
of a bare Temporal workflow to its result: ten activities that do nothing, on the same server.

They take turns, with a pause in between: what follows a decision goes on behind it, and is not what
the next customer waits for.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from typing import Final

import httpx
from rich.console import Console

from benchmarks.contenders.turns import Contender, contender
from benchmarks.load import Customers, Served, open_shop
from benchmarks.reporting import Result, bar, report
from benchmarks.scratch import quiet_stack, scratch_folder
from handrail.settings import Settings

ORDERS: Final = 80
"""And as many workflows."""
WARM_UP: Final = 20
"""Of them, which are not counted."""
PAUSE: Final = 0.5  # seconds


async def run(settings: Settings, *, json: bool) -> int:
    console = Console(stderr=json)
    with scratch_folder(settings) as folder:
        stack = quiet_stack(settings, folder)
        async with (
            stack,
            httpx.AsyncClient(base_url=stack.api_url, timeout=60) as client,
            contender(
                "temporal",
                "benchmarks.contenders.plain_temporal",
                (stack.database_url, stack.temporal_address),
                log=folder / "plain.log",
                servers={"temporal_server": stack.temporal.pid} if stack.temporal else {},
            ) as plain,
        ):
            customers = Customers(client, await open_shop(client, "shop", customers=20))
            orders, workflows = await _in_turns(customers, plain, console)
    return report(_result(orders, workflows), settings.data_dir, console, json=json)


async def _in_turns(
    customers: Customers, plain: Contender, console: Console
) -> tuple[Sequence[float], Sequence[float]]:
    """The milliseconds of each order, and of each workflow."""
    served, workflows = Served(), []
    with bar(console) as progress:
        task = progress.add_task("decisions", total=ORDERS)
        for _ in range(ORDERS):
            await customers.one_by_one(served, orders=1)
            await asyncio.sleep(PAUSE)
            turn = await plain.turn(1, 1)
            workflows.append(1000 * turn.seconds)
            await asyncio.sleep(PAUSE)
            progress.advance(task)
    if served.undecided:
        raise RuntimeError(f"{served.undecided} orders were not decided in time")
    return served.decision_ms[WARM_UP:], workflows[WARM_UP:]


def _result(orders: Sequence[float], workflows: Sequence[float]) -> Result:
    ours, theirs = statistics.median(orders), statistics.median(workflows)
    return Result(
        name="decision",
        figures={
            "decision_p50_ms": round(ours, 1),
            "decision_p95_ms": round(statistics.quantiles(orders, n=20)[-1], 1),
            "temporal_p50_ms": round(theirs, 1),
            "temporal_p95_ms": round(statistics.quantiles(workflows, n=20)[-1], 1),
        },
        ratios={"latency_vs_temporal": round(ours / theirs, 2)},
        config={"orders": len(orders), "pause_s": PAUSE, "activities_of_peer": 10},
    )
