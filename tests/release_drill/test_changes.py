"""The next release that the drill makes of the shop is one that works."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handrail.settings import APP_VARIABLE
from tests.release_drill.releases import CHANGES, ROOT, apply

BUSINESS = ("activities", "api", "consumers", "domain", "projections", "runtime", "workflows")


@pytest.fixture
def next_release(tmp_path: Path) -> Path:
    for folder in BUSINESS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    apply(CHANGES, tmp_path)
    return tmp_path


async def test_its_changes_fit_the_shop_and_go_both_ways(next_release: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(next_release), str(ROOT)]),
        APP_VARIABLE: "runtime.app:HANDRAIL",
    }
    checked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "handrail.cli.main", "check"),
        cwd=next_release,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await checked.communicate()

    assert (checked.returncode, said.decode().strip()[-len("no mistake") :]) == (0, "no mistake")
