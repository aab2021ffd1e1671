"""Tests side by side begin once, also where several processes share them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import handrail

HOME: Final = str(Path(handrail.__file__).parents[1])
SETTINGS: Final = """
[pytest]
asyncio_default_fixture_loop_scope = session
asyncio_default_test_loop_scope = session
asyncio_mode = auto
"""
PLACE: Final = """
import pytest

@pytest.fixture(scope="session")
def place(pytestconfig):
    return pytestconfig.rootpath / "begun"
"""
FILE: Final = """
import pytest
from handrail.testing.side_by_side import side_by_side

@pytest.mark.parametrize("number", range(3))
@side_by_side
async def test_something(place, number):
    with place.open("a") as begun:
        print("{name}", number, file=begun)
"""
FILES: Final = ("first", "second", "third", "fourth")


@pytest.mark.thorough
@pytest.mark.parametrize("processes", [(), ("-n", "2", "--dist", "loadfile")])
def test_each_begins_once_however_many_processes_share_the_files(
    tmp_path: Path, processes: tuple[str, ...]
) -> None:
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "conftest.py").write_text(PLACE)
    for name in FILES:
        (tmp_path / f"test_{name}.py").write_text(FILE.format(name=name))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *processes],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": HOME},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == pytest.ExitCode.OK, ran.stdout + ran.stderr
    begun = (tmp_path / "begun").read_text().splitlines()
    assert sorted(begun) == sorted(f"{name} {number}" for name in FILES for number in range(3))
