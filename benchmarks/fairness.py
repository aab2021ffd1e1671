"""One merchant orders as fast as it can: do twenty modest ones notice?

Windows without and with the greedy merchant take turns on one stack, so that whatever else the
machine does meets both. The step placement is that of the settings.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
from rich.console import Console

from benchmarks.load import Customers, Served, open_shop
from benchmarks.reporting import Result, bar, report
from benchmarks.scratch import quiet_stack, scratch_folder
from handrail.settings import Settings

MODEST: Final = 20
SHARE: Final = 0.25
"""Of what this machine can do, which is measured first: so much the modest merchants ask for."""
IN_FLIGHT: Final = 64
BOUND: Final = 1
"""Sagas of one merchant at the same time. The whole stack shares a core or two, and one saga under
way keeps most of one busy.
"""
WINDOW: Final = 32.0  # seconds
WARM_UP: Final = 4.0  # seconds
MEASURED: Final = 8.0  # seconds, of what can be done
ROUNDS: Final = (False, True, True, False, False, True)
"""With the greedy merchant or without: what drifts meets both alike."""


@dataclass
class Window:
    greedy_took_part: bool
    seconds: float = 0
    modest: Served = field(default_factory=Served)
    greedy: Served = field(default_factory=Served)


async def run(settings: Settings, *, json: bool) -> int:
    """0 where the modest merchants' p95 stays within the goal."""
    console = Console(stderr=json)
    with scratch_folder(settings) as folder:
        stack = quiet_stack(settings, folder, sagas_per_merchant=BOUND)
        async with stack:
            every, windows = await _windows(stack.api_url, console)
    return report(_result(windows, every, settings), settings.data_dir, console, json=json)


async def _windows(api_url: str, console: Console) -> tuple[float, Sequence[Window]]:
    """Also the seconds between two orders of a modest merchant."""
    limits = httpx.Limits(max_connections=IN_FLIGHT * 2)
    async with httpx.AsyncClient(base_url=api_url, timeout=60, limits=limits) as client:
        with bar(console) as progress:
            task = progress.add_task("opening shops", total=len(ROUNDS))
            greedy = Customers(client, await open_shop(client, "greedy", customers=20))
            modest = [
                Customers(client, await open_shop(client, f"modest-{number}", customers=1))
                for number in range(MODEST)
            ]
            progress.update(task, description="what can be done")
            await _capacity(modest, WARM_UP)
            every = MODEST / (SHARE * await _capacity(modest, MEASURED))
            windows = []
            for with_greedy in ROUNDS:
                name = "with the greedy merchant" if with_greedy else "modest ones alone"
                progress.update(task, description=name)
                windows.append(await _window(greedy if with_greedy else None, modest, every=every))
                progress.advance(task)
        return every, windows


async def _capacity(modest: Sequence[Customers], seconds: float) -> float:
    """Orders a second, with one of each merchant's under way at any time."""
    served, began = Served(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for one in modest:
            group.create_task(one.greedily(served, in_flight=1, until=began + seconds))
    return len(served.decision_ms) / (time.perf_counter() - began)


async def _window(greedy: Customers | None, modest: Sequence[Customers], *, every: float) -> Window:
    """Ends when every order of it is answered."""
    began = time.perf_counter()
    window, until = Window(greedy is not None), began + WINDOW
    async with asyncio.TaskGroup() as group:
        if greedy is not None:
            group.create_task(greedy.greedily(window.greedy, in_flight=IN_FLIGHT, until=until))
        for number, one in enumerate(modest):
            after = every * number / len(modest)
            group.create_task(one.steadily(window.modest, every=every, after=after, until=until))
    window.seconds = time.perf_counter() - began
    return window


def _result(windows: Sequence[Window], every: float, settings: Settings) -> Result:
    alone = [one for one in windows if not one.greedy_took_part]
    crowded = [one for one in windows if one.greedy_took_part]
    p95_alone, p95_crowded = _p95(alone), _p95(crowded)
    return Result(
        "fairness",
        figures={
            "modest_p50_alone_ms": _p50(alone),
            "modest_p50_with_greedy_ms": _p50(crowded),
            "modest_p95_alone_ms": p95_alone,
            "modest_p95_with_greedy_ms": p95_crowded,
            "modest_per_s": _rate([one.modest for one in crowded], crowded),
            "modest_alone_per_s": _rate([one.modest for one in alone], alone),
            "greedy_per_s": _rate([one.greedy for one in crowded], crowded),
            "refused_429": sum(one.greedy.refused for one in crowded),
            "modest_refused_429": sum(one.modest.refused for one in windows),
            "undecided": sum(one.modest.undecided + one.greedy.undecided for one in windows),
        },
        ratios={"modest_p95": round(p95_crowded / p95_alone, 2)},
        config={
            "modest_merchants": MODEST,
            "seconds_between_orders": round(every, 2),
            "greedy_in_flight": IN_FLIGHT,
            "sagas_per_merchant": BOUND,
            "windows": len(windows),
            "window_seconds": WINDOW,
            "step_placement": settings.step_placement,
        },
    )


def _p50(windows: Sequence[Window]) -> float:
    return round(statistics.median(_decisions(windows)), 1)


def _p95(windows: Sequence[Window]) -> float:
    """Of the orders of all windows: one window has too few for a percentile so far out."""
    return round(statistics.quantiles(_decisions(windows), n=20)[-1], 1)


def _decisions(windows: Sequence[Window]) -> Sequence[float]:
    return [ms for one in windows for ms in one.modest.decision_ms]


def _rate(served: Sequence[Served], windows: Sequence[Window]) -> float:
    """Decisions a second."""
    decided = sum(len(one.decision_ms) for one in served)
    return round(decided / sum(one.seconds for one in windows), 2)
