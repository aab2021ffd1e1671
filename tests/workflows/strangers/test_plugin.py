"""The pytest plugin: a team's file of two names becomes a test for each failure of its sagas."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
PLUGIN: Final = "handrail.testing.plugin"
TEAM: Final = """
from handrail.testing import sagas_through_every_failure
from tests.workflows.strangers.business import BUSINESS, CASES

OURS = {name: CASES[name] for name in ("pivot_only", "two_answers")}
test_sagas = sagas_through_every_failure(BUSINESS, OURS)
"""
FEW: Final = "pivot_only and (is_refused or fails_once)"
SUMMARY: Final = r"saga coverage \d\.\d %: 2 of \d+ cells were run"


class Team:
    """A folder with one file of tests, in which pytest runs as it does at home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pytest.ini").write_text(
            "[pytest]\nasyncio_default_fixture_loop_scope = session\n"
        )
        (folder / "test_sagas.py").write_text(TEAM)

    def runs(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                PLUGIN,
                "-p",
                "no:cacheprovider",
                *options,
            ],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def collects(self, *options: str) -> list[str]:
        found = self.runs("--collect-only", *options).stdout
        return re.findall(r"::test_sagas\[(.+)\]", found)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.mark.thorough
def test_each_failure_is_a_test_at_each_step_and_with_an_option_in_pairs(team: Team) -> None:
    single, everything = team.collects(), team.collects("--saga-matrix")
    assert set(single) < set(everything)
    pair = "two_answers-refused_then_its_undo_fails_once-AskForPermit-Depart-local"
    assert pair in everything
    assert not any("then_its_undo" in id_ for id_ in single)


@pytest.mark.thorough
def test_the_plugin_brings_its_servers_and_too_little_coverage_fails_the_run(team: Team) -> None:
    page = "coverage.html"
    ran = team.runs(
        *("-k", FEW), *("--saga-coverage-html", page), *("--saga-coverage-fail-under", "90")
    )
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout
    assert re.search(SUMMARY, ran.stdout)
    assert re.search(r"FAIL: saga coverage is \d\.\d %, and 90 % are required", ran.stdout)
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert "<h1>Saga coverage" in (team.folder / page).read_text()


@pytest.mark.thorough
def test_what_processes_run_side_by_side_adds_up(team: Team) -> None:
    ran = team.runs("-k", FEW, "-n", "2", "--saga-coverage-fail-under", "0.5")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(SUMMARY, ran.stdout)


def test_a_percentage_that_is_none_is_refused(team: Team) -> None:
    ran = team.runs("--saga-coverage-fail-under", "101")
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--saga-coverage-fail-under" in ran.stderr
