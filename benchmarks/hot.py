"""A flash sale: many orders for one article of which there is too little.

The same number of orders, for the same quantity at the same merchant, is spread over as many
articles as were sold: the same orders come through and are refused, and nobody waits for the same
stream. Two worker processes take turns; how much was sold is read from the streams of the articles.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import psycopg
from rich.console import Console

from benchmarks.contenders.flash_sale import IN_STOCK, ORDERS, SALES, SHOP, Kind, articles
from benchmarks.contenders.turns import Turn, contender
from benchmarks.reporting import Result, bar, report
from benchmarks.scratch import scratch_folder
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.temporal import EmbeddedTemporal
from handrail.migrations import upgrade
from handrail.settings import Settings
from runtime.app import HANDRAIL

IN_FLIGHT: Final = 64
WARM_UP: Final = 200
"""Orders before the first sale that counts, in a sale of their own."""
KINDS: Final[Sequence[Kind]] = ("hot", "spread")


async def run(settings: Settings, *, json: bool) -> int:
    console = Console(stderr=json)
    with scratch_folder(settings) as folder:
        async with (
            EmbeddedPostgres(folder / "postgres") as postgres,
            EmbeddedTemporal(folder / "temporal", ui=False, tenant=HANDRAIL.tenant) as temporal,
        ):
            await asyncio.to_thread(upgrade, postgres.url, "handrail_app")
            turns = await _sales(folder, postgres, temporal, console)
            sold = [await _sold(postgres.url, sale) for sale in range(1, SALES)]
    return report(_result(turns, sold), settings.data_dir, console, json=json)


async def _sales(
    folder: Path, postgres: EmbeddedPostgres, temporal: EmbeddedTemporal, console: Console
) -> dict[Kind, list[Turn]]:
    turns: dict[Kind, list[Turn]] = {kind: [] for kind in KINDS}
    async with AsyncExitStack() as stack:
        shops = {}
        for kind in KINDS:
            shops[kind] = await stack.enter_async_context(
                contender(
                    kind,
                    "benchmarks.contenders.flash_sale",
                    (postgres.url, temporal.address, kind),
                    log=folder / f"{kind}.log",
                    servers={"postgres": postgres.pid, "temporal_server": temporal.pid},
                )
            )
            await shops[kind].turn(WARM_UP, IN_FLIGHT, first=0)
        with bar(console) as progress:
            task = progress.add_task("sales", total=2 * (SALES - 1))
            for sale in range(1, SALES):
                for kind in KINDS if sale % 2 else reversed(KINDS):
                    progress.update(task, description=kind)
                    turn = await shops[kind].turn(ORDERS, IN_FLIGHT, first=sale * ORDERS)
                    turns[kind].append(turn)
                    progress.advance(task)
    return turns


async def _sold(url: str, sale: int) -> int:
    """Raises RuntimeError where the stream of the article and the sagas tell different stories."""
    [sku] = articles("hot", sale)
    orders = [f"saga-hot-{number}" for number in range(sale * ORDERS, (sale + 1) * ORDERS)]
    async with await psycopg.AsyncConnection.connect(url) as connection:
        found = await connection.execute(
            "SELECT count(*) FILTER (WHERE type = 'StockReserved')"
            " - count(*) FILTER (WHERE type = 'StockReleased')"
            " FROM events WHERE stream = %s",
            (f"stock-{SHOP}:{sku}",),
        )
        [reserved] = await found.fetchone() or [0]
        found = await connection.execute(
            "SELECT count(*) FROM events WHERE stream = ANY (%s) AND type = 'SagaEnded'"
            " AND data ->> 'ending' = 'completed'",
            (orders,),
        )
        [completed] = await found.fetchone() or [0]
    if reserved != completed:
        raise RuntimeError(f"{reserved} of {sku} are reserved, and {completed} orders completed")
    return int(reserved)


def _result(turns: dict[Kind, list[Turn]], sold: Sequence[int]) -> Result:
    ratios = [hot.per_s / spread.per_s for hot, spread in zip(*turns.values(), strict=True)]
    [every_time] = set(sold) if len(set(sold)) == 1 else [-1]
    return Result(
        name="hot",
        figures={
            "sold": every_time,
            **{f"{kind}_per_s": _median(turns[kind]) for kind in KINDS},
        },
        ratios={"vs_spread": round(statistics.median(ratios), 2)},
        config={
            "orders": ORDERS,
            "in_stock": IN_STOCK,
            "in_flight": IN_FLIGHT,
            "sales_of_each": len(sold),
        },
    )


def _median(turns: Sequence[Turn]) -> float:
    return round(statistics.median(turn.per_s for turn in turns), 1)
