"""The image without Docker: its packages and the wheel in a new environment, beside the shop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from handrail.settings_table import settings_table
from runtime.app import HANDRAIL
from tests.commands import without_settings
from tests.runtime.conftest import ROOT
from tests.runtime.image import IMAGE, WHEEL, copy, what_builds

pytestmark = pytest.mark.image


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of the image; its environment is the folder `.venv` in it."""
    folder = tmp_path_factory.mktemp("image")
    copy(WHEEL, folder / "src")
    copy(IMAGE, folder / "shop")
    place = folder / "shop"
    python = place / ".venv/bin/python"
    _run(place, sys.executable, "-m", "venv", place / ".venv")
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    _run(place, *pip, "install", "--quiet", "--require-hashes", "-r", "requirements-run.lock")
    builder = folder / "builder"
    _run(place, sys.executable, "-m", "venv", builder)
    (folder / "build.lock").write_text(what_builds())
    pip_there = (builder / "bin/python", "-m", "pip", "--disable-pip-version-check")
    _run(folder, *pip_there, "install", "--quiet", "--require-hashes", "-r", "build.lock")
    wheel = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "../wheels")
    _run(folder / "src", *pip_there, *wheel, ".")
    [built] = (folder / "wheels").glob("*.whl")
    _run(place, *pip, "install", "--quiet", "--no-deps", "--no-index", built)
    _run(place, *pip, "check")
    return place


def test_help_names_the_commands_of_library_and_shop(shop: Path) -> None:
    said = _handrail(shop, "--help")

    assert [name for name in ("worker", "payouts", "bank", "demo") if name not in said] == []


def test_the_app_has_all_that_it_declares(shop: Path) -> None:
    assert ": no mistake" in _handrail(shop, "check")


def test_the_settings_are_those_of_the_shop(shop: Path) -> None:
    assert _handrail(shop, "settings") == settings_table(HANDRAIL.settings_type) + "\n"


def test_the_contracts_are_kept(shop: Path) -> None:
    _handrail(shop, "contracts", "--folder", str(ROOT / "docs/contracts"))


@pytest.mark.parametrize(
    "command", ["worker", "projector", "api", "notifier", "dispatcher", "migrate", "relay"]
)
def test_every_process_comes_as_far_as_its_settings(shop: Path, command: str) -> None:
    ended = subprocess.run(
        [shop / ".venv/bin/handrail", command],
        cwd=shop,
        env=without_settings(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith("HANDRAIL_"), ended.stderr


def _handrail(shop: Path, *arguments: str) -> str:
    return _run(shop, shop / ".venv/bin/handrail", *arguments)


def _run(folder: Path, *command: str | Path) -> str:
    ended = subprocess.run(
        command,
        cwd=folder,
        env=without_settings(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
