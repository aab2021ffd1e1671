"""What a benchmark found: shown as a table, kept for the page on performance, printed as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.goals import GOALS, Goal

KEPT_IN: Final = "bench"
"""A folder of the data folder: the newest result of each benchmark."""


@dataclass(frozen=True)
class Result:
    """`figures` are of this machine, `ratios` are between things measured in the same run."""

    name: str
    figures: Mapping[str, Any]
    ratios: Mapping[str, float]
    config: Mapping[str, Any]

    def value(self, goal: Goal) -> float:
        return float({**self.figures, **self.ratios}[goal.measure])

    @property
    def missed(self) -> list[Goal]:
        return [goal for goal in GOALS[self.name] if not goal.met_by(self.value(goal))]


def bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


def report(result: Result, data_dir: Path, console: Console, *, json: bool) -> int:
    """Show it and keep it; 0 where every goal is met."""
    _show(result, console)
    whole = {**asdict(result), "config": {**result.config, **_machine()}}
    folder = data_dir / KEPT_IN
    folder.mkdir(parents=True, exist_ok=True)
    kept = orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    (folder / f"{result.name}.json").write_bytes(kept)
    if json:
        print(orjson.dumps(whole).decode())
    return 1 if result.missed else 0


def _show(result: Result, console: Console) -> None:
    table = Table("measure", "value", "goal", "", title=f"handrail bench {result.name}")
    goals = {goal.measure: goal for goal in GOALS[result.name]}
    for name, value in {**result.ratios, **result.figures}.items():
        goal = goals.get(name)
        if goal is None:
            table.add_row(name, _text(value), "", "")
        else:
            mark = "[green]✔[/]" if goal.met_by(float(value)) else "[red]✘ missed[/]"
            table.add_row(name, _text(value), f"{goal.kind} {goal.limit:g}", mark)
    console.print(table)


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "temporalio": version("temporalio"),
        "psycopg": version("psycopg"),
    }
