"""How many checkout sagas a second one process runs, beside what people would use instead.

Handrail's does everything that a checkout does up to its end: eleven appends of events, each with
the fence, the outbox and the saga's own stream. What follows a checkout for months (deliveries,
instalments) is counted apart. The bank and the carrier say yes at once, in the worker's process.

The peers are bare Temporal, whose ten activities do nothing, and DBOS, whose ten steps insert one
event each. All of them take turns on the same PostgreSQL and the same Temporal server.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from rich.console import Console

from benchmarks.contenders.turns import Contender, Turn, contender
from benchmarks.reporting import Result, bar, report
from benchmarks.scratch import scratch_folder
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.temporal import EmbeddedTemporal
from handrail.migrations import upgrade
from handrail.settings import Settings
from runtime.app import HANDRAIL

IN_FLIGHT: Final = 50
SAGAS: Final = 150
"""In each turn."""
ROUNDS: Final = 5
"""The first is not counted, and who begins changes from one to the next."""

CONTENDERS: Final = {
    "handrail": "benchmarks.contenders.handrail",
    "temporal": "benchmarks.contenders.plain_temporal",
    "dbos": "benchmarks.contenders.with_dbos",
}


async def run(settings: Settings, *, json: bool) -> int:
    console = Console(stderr=json)
    with scratch_folder(settings) as folder:
        async with (
            EmbeddedPostgres(folder / "postgres") as postgres,
            EmbeddedTemporal(folder / "temporal", ui=False, tenant=HANDRAIL.tenant) as temporal,
        ):
            await asyncio.to_thread(upgrade, postgres.url, "handrail_app")
            servers = {"postgres": postgres.pid, "temporal_server": temporal.pid}
            async with AsyncExitStack() as stack:
                field = [
                    await stack.enter_async_context(
                        contender(
                            name,
                            module,
                            (postgres.url, temporal.address),
                            log=folder / f"{name}.log",
                            servers=servers,
                        )
                    )
                    for name, module in CONTENDERS.items()
                ]
                turns = await _rounds(field, console)
    return report(_result(turns), settings.data_dir, console, json=json)


async def _rounds(field: Sequence[Contender], console: Console) -> Mapping[str, Sequence[Turn]]:
    turns: dict[str, list[Turn]] = {one.name: [] for one in field}
    with bar(console) as progress:
        task = progress.add_task("sagas", total=ROUNDS * len(field))
        for number in range(ROUNDS):
            first = number % len(field)
            for one in (*field[first:], *field[:first]):
                progress.update(task, description=one.name)
                turns[one.name].append(await one.turn(SAGAS, IN_FLIGHT))
                await one.settled()
                progress.advance(task)
    return {name: taken[1:] for name, taken in turns.items()}


def _result(turns: Mapping[str, Sequence[Turn]]) -> Result:
    per_s = {name: statistics.median(turn.per_s for turn in of) for name, of in turns.items()}
    figures: dict[str, float] = {f"{name}_per_s": round(rate, 1) for name, rate in per_s.items()}
    for name, of in turns.items():
        for process in of[0].cpu_ms:
            used = statistics.median(turn.cpu_ms[process] for turn in of)
            label = "own" if process == name else process
            figures[f"{name}_cpu_{label}_ms"] = round(used, 1)
    return Result(
        name="saga",
        figures=figures,
        ratios={
            "throughput_vs_temporal": round(per_s["handrail"] / per_s["temporal"], 2),
            "throughput_vs_dbos": round(per_s["handrail"] / per_s["dbos"], 2),
        },
        config={
            "in_flight": IN_FLIGHT,
            "rounds": ROUNDS - 1,
            "sagas_per_turn": SAGAS,
            "steps": 10,
        },
    )
