"""`handrail new app NAME` writes a project that keeps its own rules, runs, and passes its tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from handrail.scaffold.files import Exists
from handrail.scaffold.names import WrongName, checked, class_name
from handrail.scaffold.project import new_project
from tests.scaffold.projects import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Written by the command, in a folder where no App is."""
    said = Project(tmp_path).handrail("new", "app", "clinic")
    first, *after = said.splitlines()
    assert first == f"{tmp_path / 'clinic'} is written."
    assert [line.split("  #")[0].strip() for line in after] == [
        *("", "Next:", "cd clinic", "make demo", "make test", "handrail new context NAME"),
    ]
    return Project(tmp_path / "clinic")


@pytest.mark.thorough
def test_a_new_project_keeps_its_own_rules(project: Project) -> None:
    project.keeps_its_own_rules()


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["x", "abcdefghij_klmnopqrs"])
def test_the_length_of_its_name_changes_nothing(tmp_path: Path, name: str) -> None:
    written = Project(new_project(name, tmp_path))
    written.ran("ruff", "format", "--no-cache", "--check")
    written.ran("ruff", "check", "--no-cache")


def test_a_new_project_has_an_app_without_a_mistake(project: Project) -> None:
    said = project.handrail("check")
    assert said.startswith("1 context, 1 saga, 0 workflows around sagas,")
    assert said.endswith("0 consumers, 1 router: no mistake\n")


@pytest.mark.thorough
def test_the_tests_of_a_new_project_pass(project: Project) -> None:
    said = project.ran("pytest", "-q", "-p", "no:cacheprovider")
    assert " passed" in said


@pytest.mark.journey
def test_the_demo_of_a_new_project_proves_its_invariants(project: Project) -> None:
    figures = json.loads(project.handrail("demo", "--json").splitlines()[-1])
    assert (figures["completed"], figures["refused"]) == (10, 2)
    assert all(figures["invariants"].values())


@pytest.mark.quick(1)
@pytest.mark.parametrize("active", ["", "/elsewhere/env"])
def test_make_uses_the_active_environment_or_the_project_has_its_own(
    project: Project, active: str
) -> None:
    environment = {"PATH": os.environ["PATH"], **({"VIRTUAL_ENV": active} if active else {})}
    said = subprocess.check_output(
        ["make", "--dry-run", "--no-print-directory", "test"],
        cwd=project.folder,
        env=environment,
        text=True,
    )
    python = f"{active or '.venv'}/bin/python"
    assert said.startswith(f"test -x {python} || python3 -m venv {active or '.venv'}\n")
    assert said.endswith(f"{python} -m pytest --saga-coverage\n")


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "clinic").mkdir()
    with pytest.raises(Exists, match="clinic is there already: take another name"):
        new_project("clinic", tmp_path)
    assert list((tmp_path / "clinic").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is no name for a module"),
        ("9lives", "is no name for a module"),
        ("my-app", "is no name for a module"),
        ("../up", "is no name for a module"),
        ("Clinic", "use small letters"),
        ("a__b", "single underscores"),
        ("ä", "is no name for a module"),
        ("a" * 21, "at most 20 characters"),
        ("class", "is a keyword of Python"),
        ("match", "is a keyword of Python"),
        ("json", "is a module of Python"),
        ("handrail", "has a meaning in the modules that are written"),
        ("tests", "has a meaning in the modules that are written"),
        ("list", "has a meaning in the modules that are written"),
    ],
)
def test_a_name_that_no_module_can_have_is_refused(name: str, said: str) -> None:
    with pytest.raises(WrongName, match=said):
        checked(name)


def test_the_command_says_what_is_wrong_with_a_name(tmp_path: Path) -> None:
    assert "my-app" in Project(tmp_path).refused("new", "app", "my-app")
    assert list(tmp_path.iterdir()) == []


def test_a_class_is_named_as_its_module() -> None:
    assert class_name("rent_bike") == "RentBike"
