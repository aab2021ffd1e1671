"""The library is installed, a business is not: it runs from its folder, and so do its processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

AIRLINE: Final = """
from handrail.app import App
from handrail.simulators.simulator import Simulator


def create(remembered, target):
    from fastapi import FastAPI

    return FastAPI()


TRIPS = App(
    contexts=[],
    simulators=[
        Simulator(name="airline", purpose="Fly.", create=create, address="provider_url")
    ],
)
"""
STARTS: Final = """
import asyncio, sys
from pathlib import Path
from handrail.dev.supervisor import Service
from handrail.load_app import the_app


async def main():
    [simulator] = the_app().simulators
    service = Service(simulator.name, [simulator.name], folder=Path(sys.argv[1]), environment={})
    await service.start()
    print(await service.stop())


asyncio.run(main())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "trips"
    (folder / "docs").mkdir(parents=True)
    (folder / "airline.py").write_text(AIRLINE)
    (folder / "pyproject.toml").write_text('[tool.handrail]\napp = "airline:TRIPS"\n')
    return folder


def _starts_the_airline(folder: Path, tmp_path: Path, **variables: str) -> None:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HANDRAIL_", "PYTHONPATH"))
    }
    ended = subprocess.run(
        [sys.executable, "-c", STARTS, tmp_path / "var"],
        cwd=folder,
        env={**clean, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "0\n"), ended.stderr


@pytest.mark.parametrize("below", [pytest.param(".", marks=pytest.mark.thorough), "docs"])
def test_a_service_finds_the_app_of_the_folder_where_it_is_started(
    project: Path, tmp_path: Path, below: str
) -> None:
    _starts_the_airline(project / below, tmp_path)


@pytest.mark.thorough
def test_a_service_finds_the_app_that_the_environment_names(project: Path, tmp_path: Path) -> None:
    (project / "pyproject.toml").unlink()
    _starts_the_airline(project, tmp_path, HANDRAIL_APP="airline:TRIPS")


@pytest.mark.thorough
def test_a_process_that_a_command_starts_can_import_the_business(project: Path) -> None:
    starts = (
        "import subprocess, sys; from handrail.load_app import the_app; the_app();"
        "subprocess.run([sys.executable, '-c', 'import airline'], check=True)"
    )
    subprocess.run([sys.executable, "-c", starts], cwd=project / "docs", check=True, timeout=60)
