"""The whole run goes on after what breaks, and its exit code and its table do not hide it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import orjson
import pytest

from benchmarks import all as whole
from benchmarks.command import bench
from benchmarks.goals import GOALS
from benchmarks.reporting import kept_at
from handrail.settings import Settings

KEEPS = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(sys.argv[2])
print("Traceback: it went wrong")
sys.exit(int(sys.argv[3]))
"""
BREAKS = "import sys; print('Traceback: no such server'); sys.exit(3)"


def _kept(name: str, **ratios: float) -> str:
    return orjson.dumps({"name": name, "figures": {}, "ratios": ratios, "config": {}}).decode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Any:
    """Says what each benchmark is: the result that it keeps, if any, and its exit code."""

    def be(benchmarks: Mapping[str, tuple[str | None, int]]) -> None:
        def command(name: str) -> Sequence[str]:
            result, code = benchmarks[name]
            if result is None:
                return [sys.executable, "-c", BREAKS]
            kept = str(kept_at(settings.data_dir, name))
            return [sys.executable, "-c", KEEPS, kept, result, str(code)]

        monkeypatch.setattr(whole, "USUALLY", dict.fromkeys(benchmarks, 1))
        monkeypatch.setattr(whole, "command", command)

    return be


def test_the_command_the_goals_and_the_whole_run_know_the_same_benchmarks() -> None:
    names = get_args(get_args(get_type_hints(bench, include_extras=True)["name"])[0])

    assert list(names) == [*GOALS, "all"]
    assert list(whole.USUALLY) == list(GOALS)


async def test_the_run_is_good_where_every_goal_is_met(
    runs: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    runs({"relay": (_kept("relay", vs_bare_publisher=0.8), 0)})

    assert await whole.run(settings, json=True) == 0

    found = orjson.loads(capsys.readouterr().out)
    assert found["benchmarks"]["relay"]["ratios"] == {"vs_bare_publisher": 0.8}
    assert (found["missed"], found["broke"]) == ({}, [])


async def test_it_goes_on_after_a_missed_goal_and_after_one_that_breaks(
    runs: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    runs(
        {
            "decision": (_kept("decision", latency_vs_temporal=0.5), 1),
            "hot": (None, 3),
            "relay": (_kept("relay", vs_bare_publisher=0.8), 0),
        }
    )

    assert await whole.run(settings, json=True) == 1

    out, shown = capsys.readouterr()
    found = orjson.loads(out)
    assert found["missed"] == {"decision": ["latency_vs_temporal"]}
    assert found["broke"] == ["hot"]
    assert found["benchmarks"]["hot"] is None
    assert "missed latency_vs_temporal" in shown
    assert "broke with 3" in shown
    assert "no such server" in shown
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines()]
    assert [row for row in rows if row] == [
        ["decision", "latency_vs_temporal", "0.5", "at most 0.4", "✘ missed"],
        ["hot", "vs_spread", "", "at least 0.5", "✘ broke"],
        ["hot", "sold", "", "exactly 500", "✘ broke"],
        ["relay", "vs_bare_publisher", "0.8", "at least 0.6", "✔"],
    ]


async def test_a_result_of_an_earlier_run_is_not_taken_for_that_of_one_that_broke(
    runs: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = kept_at(settings.data_dir, "relay")
    earlier.parent.mkdir()
    earlier.write_text(_kept("relay", vs_bare_publisher=0.8))
    runs({"relay": (None, 3)})

    assert await whole.run(settings, json=True) == 1

    assert orjson.loads(capsys.readouterr().out)["benchmarks"]["relay"] is None
    assert earlier.exists()


async def test_what_goes_wrong_after_a_good_result_is_not_hidden(
    runs: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    runs({"relay": (_kept("relay", vs_bare_publisher=0.8), 134)})

    assert await whole.run(settings, json=True) == 1

    out, shown = capsys.readouterr()
    assert orjson.loads(out)["broke"] == ["relay"]
    assert "it went wrong" in shown
