"""A team that has the package, and nothing else of this project, does what docs/testing.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import handrail

HERE: Final = Path(__file__).parent
PAGE: Final = (HERE.parents[2] / "docs" / "testing.md").read_text()


def block(language: str) -> str:
    """The only block of this language on the page for teams."""
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


UNDOES: Final = "return [LetGo(thing=command.thing)]"
A_FEW: Final = (
    "PlanConcert and (is_refused or fails_once or is_terminated_at_it or its_undo_fails_once)"
    " or Advertise and is_skipped"
)


class Team:
    """A folder with the package, an App and a file of cases; none of our tests is in reach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = folder / "club.py"
        package = Path(handrail.__file__).parent
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(package, folder / "library" / "handrail", ignore=ignored)
        shutil.copy(HERE / "team" / "club.py", self.app)
        (folder / "test_sagas.py").write_text(block("python"))
        (folder / "pyproject.toml").write_text(block("toml"))

    def runs(self, *options: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder / "library"), str(self.folder)])
        return self.python(
            "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options, path=path
        )

    def python(self, *words: str, path: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


@pytest.mark.thorough
def test_a_small_case_for_each_saga_and_one_line_are_all_a_team_writes(team: Team) -> None:
    ran = team.runs("-k", A_FEW, "--saga-coverage")
    assert ran.returncode == pytest.ExitCode.OK, ran.stdout + ran.stderr
    assert re.search(r"saga coverage \d+\.\d %: \d+ of \d+ cells were run", ran.stdout)


@pytest.mark.thorough
def test_an_undo_that_does_nothing_is_named_with_what_it_left_behind(team: Team) -> None:
    text = team.app.read_text()
    assert UNDOES in text
    team.app.write_text(text.replace(UNDOES, "return []"))
    ran = team.runs("-k", "PlanConcert-is_refused-Announce")
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    said = (
        r"the saga ended refused, and its rollback left something behind:"
        r" thing-concert-\w+:HireBand is {'status': 'kept'}, and should be nothing;"
        r" thing-concert-\w+:HoldHall is {'status': 'kept'}, and should be nothing"
    )
    assert re.search(said, " ".join(ran.stdout.split())), ran.stdout


def test_the_plugin_imports_neither_temporal_nor_a_database_before_a_saga_is_tested(
    team: Team,
) -> None:
    heavy = "temporalio", "psycopg", "sqlalchemy", "aiohttp", "fastapi", "pydantic"
    program = (
        "import sys, handrail.testing.plugin, handrail.testing.scenario;"
        f" print(sorted(set(sys.modules) & set({heavy})), handrail.__file__)"
    )
    ran = team.python("-c", program, path=str(team.folder / "library"))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"[] {team.folder}")
