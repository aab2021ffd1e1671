"""`handrail new context|saga|projection|consumer NAME` adds a part that keeps a project green."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail.scaffold.app_edit import NotMarked
from handrail.scaffold.files import Exists
from handrail.scaffold.names import WrongName
from handrail.scaffold.part import KINDS, Kind, NoProject, new_part
from handrail.scaffold.part import Project as Target
from handrail.scaffold.project import new_project
from tests.scaffold.projects import Project

LONG = "abcdefghij_klmnopqrs"
AFTER = {
    "context": "2 contexts, 1 saga, 0 workflows around sagas, 4 read models, 0 consumers, 1 router",
    "saga": "1 context, 2 sagas, 0 workflows around sagas, 4 read models, 0 consumers, 2 routers",
    "projection": "1 context, 1 saga, 0 workflows around sagas, 5 read models, 0 consumers",
    "consumer": "1 context, 1 saga, 0 workflows around sagas, 4 read models, 1 consumer, 1 router",
}
WRITTEN = {
    "saga": ["clinic/routes/rent_bike.py", "clinic/app.py", "clinic/api.py"],
}
"""Beside the module and its test, where it is more than a line of app.py."""
A_SAGA_FIRST = [
    pytest.param(kind, marks=() if kind == "saga" else (pytest.mark.thorough,)) for kind in KINDS
]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(new_project("clinic", tmp_path))


@pytest.fixture
def target(project: Project) -> Target:
    return Target.at(project.folder, "clinic.app")


def texts(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", A_SAGA_FIRST)
def test_a_part_is_in_the_app_once_it_is_written(project: Project, kind: Kind) -> None:
    said = project.handrail("new", kind, "rent_bike")
    files = ["tests/test_rent_bike.py", *WRITTEN.get(kind, ["clinic/app.py"])]
    written, next_steps = said.split("\n\nNext:\n")
    assert written.splitlines() == [
        f"{file} is written." for file in (f"clinic/{kind}s/rent_bike.py", *files)
    ]
    first, second, *_ = next_steps.splitlines()
    assert first.startswith(f"  clinic/{kind}s/rent_bike.py: change ")
    assert second.startswith("  python -m pytest tests/test_rent_bike.py")
    assert AFTER[kind] in project.handrail("check")


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_a_project_passes_its_checks_and_the_tests_of_a_new_part(
    project: Project, kind: Kind
) -> None:
    project.handrail("new", kind, "rent_bike")
    project.keeps_its_own_rules()
    project.ran("pytest", "-q", "-p", "no:cacheprovider", "tests/test_rent_bike.py")


@pytest.mark.thorough
@pytest.mark.parametrize("context", ["x", LONG])
def test_parts_of_any_length_of_name_are_formatted(tmp_path: Path, context: str) -> None:
    folder = new_project(LONG, tmp_path)
    target = Target.at(folder, f"{LONG}.app")
    new_part(target, "context", context)
    for kind in ("saga", "projection", "consumer"):
        new_part(target, kind, kind[0] + "x", context)
        new_part(target, kind, f"{kind[0]}{LONG[1:]}", context)
    Project(folder).ran("ruff", "format", "--no-cache", "--check")
    Project(folder).ran("ruff", "check", "--no-cache")


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_mark_nothing_is_written(target: Target, kind: Kind) -> None:
    source = target.app_file.read_text().replace(f"        # handrail new {kind} NAME\n", "")
    target.app_file.write_text(source)
    before = texts(target.folder)
    with pytest.raises(NotMarked, match=rf"app\.py has the comment '# handrail new {kind} NAME' 0"):
        new_part(target, kind, "rent_bike")
    assert texts(target.folder) == before


def test_a_saga_whose_route_no_file_would_list_is_not_written(target: Target) -> None:
    target.app_file.with_name("api.py").unlink()
    before = texts(target.folder)
    with pytest.raises(NoProject, match=r"api\.py is not there, and a new saga is listed in it"):
        new_part(target, "saga", "rent_bike")
    assert texts(target.folder) == before


def test_a_name_that_the_api_has_is_refused(target: Target) -> None:
    with pytest.raises(Exists, match=r"api\.py has the name bookings already"):
        new_part(target, "saga", "bookings")


def test_a_name_that_the_app_has_is_refused(target: Target) -> None:
    with pytest.raises(Exists, match="has the name make_booking already"):
        new_part(target, "context", "make_booking")


def test_a_file_that_is_there_is_left_alone(target: Target) -> None:
    (target.folder / "tests" / "test_rent_bike.py").write_text("mine")
    before = texts(target.folder)
    with pytest.raises(Exists, match=r"test_rent_bike\.py is there already"):
        new_part(target, "saga", "rent_bike")
    assert texts(target.folder) == before


def test_a_name_that_no_module_can_have_is_refused(target: Target) -> None:
    with pytest.raises(WrongName, match="is a keyword of Python"):
        new_part(target, "saga", "import")


def test_a_context_that_is_not_there_is_named_with_the_remedy(target: Target) -> None:
    with pytest.raises(NoProject, match="`handrail new context bike` writes it"):
        new_part(target, "saga", "rent_bike", "bike")


def test_a_context_without_the_commands_is_named_with_what_it_lacks(target: Target) -> None:
    file = target.context_file("booking")
    file.write_text(file.read_text().replace("class HoldBooking", "class KeepBooking"))
    with pytest.raises(NoProject, match="has no HoldBooking, which the saga"):
        new_part(target, "saga", "rent_bike")


def test_a_part_belongs_into_a_project(tmp_path: Path) -> None:
    assert "has [tool.handrail] app" in Project(tmp_path).refused("new", "saga", "rent_bike")
