"""Every benchmark after the other, each in a process of its own; one table at the end.

One that breaks, or misses its goal, does not keep the next from running.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.goals import GOALS
from benchmarks.reporting import Finding, Result, kept_at, mark, read
from handrail.dev.supervisor import Child
from handrail.settings import Settings

USUALLY: Final[Mapping[str, int]] = {
    "saga": 4,
    "decision": 2,
    "orders": 2,
    "append": 2,
    "growth": 10,  # the first time: what it fills is kept
    "feed": 3,
    "rebuild": 4,
    "hot": 4,
    "fairness": 4,
    "relay": 1,
    "soak": 24,
}
"""In this order; how many minutes each takes on two cores."""
LOOK_SECONDS: Final = 0.25
"""Seldom, for who looks takes time from what is measured."""
STOP_SECONDS: Final = 60
"""How long a benchmark that is told to stop may take to stop what it started."""


@dataclass(frozen=True)
class Ended:
    """How the process of a benchmark ended. `result` is None where it broke before it had one."""

    name: str
    seconds: float
    code: int | None
    result: Result | None
    log: Path

    @property
    def broke(self) -> bool:
        """Also with a result: what came after it went wrong."""
        return self.result is None or (self.code != 0 and not self.result.missed)

    @property
    def passed(self) -> bool:
        return self.code == 0 and self.result is not None

    def __str__(self) -> str:
        took = f"{self.name:<10} {self.seconds / 60:5.1f} min"
        if self.broke:
            return f"{took}  broke with {self.code}: {self.log}"
        missed = ", ".join(goal.measure for goal in self.result.missed) if self.result else ""
        return f"{took}  {f'missed {missed}' if missed else 'met its goals'}"


async def run(settings: Settings, *, json: bool) -> int:
    """0 where none broke and every goal is met."""
    console = Console(stderr=json)
    ended = [await _one(name, settings, console) for name in USUALLY]
    console.print(_table(ended))
    if json:
        print(orjson.dumps(_as_json(ended)).decode())
    return 0 if all(one.passed for one in ended) else 1


async def _one(name: str, settings: Settings, console: Console) -> Ended:
    """Its output goes to a log in the data folder, beside its result."""
    kept = kept_at(settings.data_dir, name)
    log = kept.with_suffix(".log")
    log.unlink(missing_ok=True)
    child = Child(
        name,
        command(name),
        log=log,
        death_signal=signal.SIGTERM,  # it has servers to stop and a folder to remove
        stop_seconds=STOP_SECONDS,
    )
    before, began = _stamp(kept), time.monotonic()
    with _waiting(name, console):
        child.spawn()
        try:
            while child.running:  # noqa: ASYNC110  # a process is polled
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await child.stop()
    result = read(kept) if _stamp(kept) != before else None
    ended = Ended(name, time.monotonic() - began, child.returncode, result, log)
    console.print(str(ended), highlight=False, soft_wrap=True)
    if ended.broke:
        console.print(child.log_tail(), highlight=False, markup=False)
    return ended


def command(name: str) -> Sequence[str]:
    return [sys.executable, "-m", "handrail.cli.main", "bench", name, "--json"]


def _waiting(name: str, console: Console) -> Progress:
    if not console.is_terminal:
        console.print(f"{name:<10} usually takes {USUALLY[name]} min")
    text = TextColumn("{task.description}")
    progress = Progress(
        *(SpinnerColumn(), text, TimeElapsedColumn()),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        refresh_per_second=2,
    )
    place = list(USUALLY).index(name) + 1
    progress.add_task(f"{place}/{len(USUALLY)} {name}, usually {USUALLY[name]} min")
    return progress


def _stamp(kept: Path) -> int | None:
    """Tells a new result from that of an earlier run, which stays where a benchmark breaks."""
    return kept.stat().st_mtime_ns if kept.exists() else None


def _table(ended: list[Ended]) -> Table:
    table = Table("benchmark", "measure", "value", "goal", "", title="handrail bench all")
    for one in ended:
        for measure, value, goal, said in _rows(one):
            table.add_row(one.name, measure, value, goal, said)
    return table


def _rows(ended: Ended) -> Iterator[tuple[str, str, str, str]]:
    if ended.result is None:
        for goal in GOALS[ended.name]:
            yield goal.measure, "", Finding(goal.measure, None, goal).wanted, "[red]✘ broke[/]"
        return
    for one in ended.result.held_to_goals:
        yield one.measure, one.shown, one.wanted, mark(one)
    if ended.broke:
        yield "exit code", str(ended.code), "exactly 0", "[red]✘ broke[/]"


def _as_json(ended: list[Ended]) -> dict[str, Any]:
    return {
        "name": "all",
        "benchmarks": {one.name: one.result and asdict(one.result) for one in ended},
        "missed": {
            one.name: [goal.measure for goal in one.result.missed]
            for one in ended
            if one.result and one.result.missed
        },
        "broke": [one.name for one in ended if one.broke],
    }
