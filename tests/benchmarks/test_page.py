"""The page on performance says what the kept results say, to the letter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks import page
from benchmarks.chapters import CHAPTERS
from benchmarks.goals import GOALS
from benchmarks.reporting import MACHINE, kept_at

DOCS = Path(__file__).parents[2] / "docs"
HOT = {
    "name": "hot",
    "figures": {"hot_per_s": 40.0, "spread_per_s": 100.0, "sold": 500},
    "ratios": {"vs_spread": 0.4},
    "config": {**dict.fromkeys(MACHINE, "1"), "in_flight": 64},
}


def _keep(folder: Path, result: Mapping[str, Any]) -> None:
    kept = folder / "performance" / "results" / f"{result['name']}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(orjson.dumps(result))


def _write(folder: Path) -> str:
    page.write(folder / "performance", folder)
    return (folder / "performance.md").read_text()


def _files(folder: Path, *patterns: str) -> Mapping[str, str]:
    return {path.name: path.read_text() for pattern in patterns for path in folder.glob(pattern)}


def test_the_page_and_its_plots_are_what_the_kept_results_give(tmp_path: Path) -> None:
    page.write(DOCS / "performance", tmp_path)

    everything = ("performance.md", "performance/*.svg")
    assert _files(tmp_path, *everything) == _files(DOCS, *everything)


def test_every_benchmark_has_a_chapter() -> None:
    assert list(CHAPTERS) == list(GOALS)


def test_a_missed_goal_is_marked_in_the_overview_and_in_the_chapter(tmp_path: Path) -> None:
    _keep(tmp_path, HOT)

    written = _write(tmp_path)

    assert "1 of 2 goals are met." in written
    assert "| [hot](#hot) | `vs_spread` | 0.4 | at least 0.5 | ✘ missed |" in written
    assert "\n| `vs_spread` | 0.4 | at least 0.5 | ✘ missed |" in written
    assert "| `sold` | 500 | exactly 500 | ✔ |" in written
    assert "    handrail bench hot\n" in written
    assert "in flight: 64" in written


def test_what_was_not_measured_is_named(tmp_path: Path) -> None:
    _keep(tmp_path, HOT)

    written = " ".join(_write(tmp_path).split())

    others = ", ".join(f"`{name}`" for name in CHAPTERS if name != "hot")
    assert f"Not measured: {others}." in written


def test_a_note_is_put_under_its_benchmark_as_it_is(tmp_path: Path) -> None:
    _keep(tmp_path, HOT)
    note = tmp_path / "performance" / "notes" / "hot.md"
    note.parent.mkdir()
    note.write_text("One row is locked by one writer\nat a time: 40 a second.\n")

    assert _write(tmp_path).endswith(f"\n\n{note.read_text()}")


def test_a_bar_that_was_not_measured_is_an_error(tmp_path: Path) -> None:
    figures = {"hot_per_s": 40.0, "sold": 500}
    _keep(tmp_path, {**HOT, "figures": figures})

    with pytest.raises(KeyError, match="spread_per_s"):
        _write(tmp_path)


def test_results_of_two_machines_are_not_said_to_be_of_one(tmp_path: Path) -> None:
    _keep(tmp_path, HOT)
    relay = {
        "name": "relay",
        "figures": {"messages_per_s": 1, "bare_messages_per_s": 1},
        "ratios": {"vs_bare_publisher": 1},
        "config": {**HOT["config"], "cores": 8},  # type: ignore[dict-item]  # a mapping
    }
    _keep(tmp_path, relay)

    written = _write(tmp_path)

    assert "hot on 1, 1 cores" in written
    assert "relay on 1, 8 cores" in written


def test_the_newest_results_are_taken_over_and_the_others_stay(tmp_path: Path) -> None:
    docs, data = tmp_path / "docs", tmp_path / "var"
    _keep(docs, HOT)
    newer = kept_at(data, "relay")
    newer.parent.mkdir(parents=True)
    newer.write_text("{}")

    page.collect(data, docs)

    assert set(_files(docs, "performance/results/*")) == {"hot.json", "relay.json"}
