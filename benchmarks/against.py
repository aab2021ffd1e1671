"""A benchmark of this tree beside the same benchmark of another commit, both in turns in one run.

    python -m benchmarks.against 5f62ac1 saga decision append feed

What is compared are ratios to peers where the benchmark has them, so that a machine whose speed
changes during the run counts for both trees. Each tree runs with the packages of this interpreter.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson
from rich.console import Console
from rich.table import Table

HERE: Final = Path(__file__).parents[1]
TURNS: Final = 3
ALLOWED: Final = 0.05
"""How much worse the median of this tree may be, as a share of that of the other commit."""

Better = Literal["higher", "lower"]
MEASURES: Final[Mapping[str, Mapping[str, Better]]] = {
    "saga": {"throughput_vs_temporal": "higher"},
    "decision": {"latency_vs_temporal": "lower"},
    "append": {"vs_raw_insert": "higher"},
    "feed": {"lag_p50_ms": "lower", "statements_per_event": "lower", "written_per_s": "higher"},
}


@dataclass(frozen=True)
class Compared:
    """One measure of a benchmark, once for each turn of each tree."""

    benchmark: str
    measure: str
    better: Better
    here: Sequence[float]
    there: Sequence[float]

    @property
    def worse_by(self) -> float:
        """The share by which the median here is worse; below 0 where it is better."""
        here, there = statistics.median(self.here), statistics.median(self.there)
        return (there / here if self.better == "higher" else here / there) - 1

    @property
    def holds(self) -> bool:
        return self.worse_by <= ALLOWED


def compare(revision: str, names: Sequence[str], console: Console) -> list[Compared]:
    """Raises CalledProcessError where there is no such commit, or a benchmark does not end."""
    found: list[Compared] = []
    with _tree(revision) as there:
        for name in names:
            measured: dict[Path, list[Mapping[str, float]]] = {HERE: [], there: []}
            for turn in range(TURNS):
                order = (HERE, there) if turn % 2 == 0 else (there, HERE)
                for tree in order:
                    console.print(f"{name}, turn {turn + 1} of {TURNS}: {_named(tree, revision)}")
                    measured[tree].append(_run(tree, name))
            found += [
                Compared(
                    name,
                    measure,
                    better,
                    [one[measure] for one in measured[HERE]],
                    [one[measure] for one in measured[there]],
                )
                for measure, better in MEASURES[name].items()
            ]
    return found


@contextmanager
def _tree(revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="handrail-against-") as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), revision)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=HERE, check=True)


def _run(tree: Path, name: str) -> Mapping[str, float]:
    """Figures and ratios. A goal that is missed is no matter here."""
    script = tomllib.loads((tree / "pyproject.toml").read_text())["project"]["scripts"]["handrail"]
    module, _, function = script.partition(":")
    start = f"from {module} import {function}; {function}()"
    with tempfile.TemporaryDirectory(prefix="handrail-bench-") as data:
        ended = subprocess.run(
            [sys.executable, "-c", start, "bench", name, "--json"],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), "HANDRAIL_DATA_DIR": data},
            stdout=subprocess.PIPE,
            check=False,
        )
    try:
        result: dict[str, Any] = orjson.loads(ended.stdout.splitlines()[-1])
    except (IndexError, orjson.JSONDecodeError):
        raise subprocess.CalledProcessError(ended.returncode, f"bench {name}") from None
    return {**result["figures"], **result["ratios"]}


def _named(tree: Path, revision: str) -> str:
    return "this tree" if tree == HERE else revision


def table(found: Sequence[Compared], revision: str) -> Table:
    shown = Table("benchmark", "measure", revision[:10], "here", "worse by", "")
    for one in found:
        shown.add_row(
            one.benchmark,
            one.measure,
            f"{statistics.median(one.there):,.3g}",
            f"{statistics.median(one.here):,.3g}",
            f"{one.worse_by:+.1%}",
            "[green]✔[/]" if one.holds else "[red]✘[/]",
        )
    return shown


def main() -> int:
    console = Console(stderr=True)
    match sys.argv[1:]:
        case [revision, *names] if names and not set(names) - MEASURES.keys():
            found = compare(revision, names, console)
            console.print(table(found, revision))
            return 0 if all(one.holds for one in found) else 1
        case _:
            console.print(f"usage: python -m benchmarks.against REVISION {' '.join(MEASURES)}")
            return 2


if __name__ == "__main__":
    sys.exit(main())
