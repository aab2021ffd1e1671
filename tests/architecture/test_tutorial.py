"""The tutorial is whole: its files fit the project that it writes, and its commands are real."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail.cli.main import app
from handrail.scaffold.part import KINDS, Project, new_part
from handrail.scaffold.project import new_project
from tests.journeys.tutorial import PAGE, ROOT, WRITTEN, Run, Write, steps
from tests.scaffold.projects import Project as Folder

STEPS = [*steps(PAGE.read_text())]
WRITES = [step for step in STEPS if isinstance(step, Write)]


def commands(program: str) -> Iterator[str]:
    """The words that follow a program, wherever the page names it."""
    for line in PAGE.read_text().splitlines():
        for found in re.findall(rf"(?:^|`|exec ){program} ([^`'#\n]+)", line):
            yield found.strip()


@pytest.fixture
def project(tmp_path: Path) -> Folder:
    """Made as the page says, without the commands that start anything."""
    folder = new_project("trips", tmp_path)
    for words in commands("handrail"):
        match words.split():
            case ["new", ("context" | "saga") as kind, name, *about] if name != "NAME":
                new_part(Project.at(folder, "trips.app"), kind, name, (about or [""])[-1])
    for step in WRITES:
        file = folder / step.path
        assert file.exists(), f"{step.path} is written before it is changed"
        file.write_text(step.text)
    return Folder(folder)


def test_each_file_stands_whole_in_the_example() -> None:
    stored = {
        str(file.relative_to(ROOT / WRITTEN)): file.read_text()
        for file in (ROOT / WRITTEN).rglob("*.py")
    }
    assert {step.path: step.text for step in WRITES} == stored


def test_the_app_of_the_tutorial_has_no_mistake(project: Folder) -> None:
    said = project.handrail("check")
    assert said.startswith("4 contexts, 2 sagas,")
    assert said.endswith("2 routers: no mistake\n")


@pytest.mark.thorough
def test_the_project_of_the_tutorial_keeps_its_own_rules(project: Folder) -> None:
    project.keeps_its_own_rules()


@pytest.mark.parametrize("words", sorted({*commands("handrail")}))
def test_each_command_is_a_real_one(words: str) -> None:
    app.parse_args(shlex.split(words), exit_on_error=False)


def test_each_kind_of_part_is_named() -> None:
    assert {words.split()[0] for words in commands("handrail new")} == {"app", *KINDS}


def test_each_target_can_be_made(project: Folder) -> None:
    for target in commands("make"):
        subprocess.run(["make", "--dry-run", target], cwd=project.folder, check=True, timeout=30)


def test_the_page_uses_three_terminals() -> None:
    assert {step.terminal for step in STEPS if isinstance(step, Run)} == {"", "servers", "worker"}


def test_a_block_that_no_step_is_made_of_is_an_error() -> None:
    with pytest.raises(ValueError, match="a block python below '' is no step"):
        list(steps("```python\npass\n```\n"))
