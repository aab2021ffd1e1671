"""Each import contract is broken here on purpose: a guard that cannot fail guards nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "handrail",
    "domain",
    "workflows",
    "activities",
    "projections",
    "consumers",
    "api",
    "runtime",
    "benchmarks",
)
BREACHES = {
    "The library knows no business": (
        "handrail/eventstore/store.py",
        "import domain.ordering.order",
    ),
    "Dependencies point inward": ("projections/stock_level.py", "import api.routers"),
    "The parts of the library import each other in one direction": (
        "handrail/messaging/envelope.py",
        "import handrail.catalogue",
    ),
    "Contexts do not know each other": (
        "domain/credit/credit_line.py",
        "from domain.payments import payment",
    ),
    "The domain is plain Python": ("handrail/kernel.py", "import pydantic"),
    "Workflows know commands and Temporal, and nothing of the outside world": (
        "workflows/checkout.py",
        "import httpx",
    ),
    "The event store does not know Temporal or HTTP": (
        "handrail/eventstore/feed.py",
        "import temporalio",
    ),
    "The API runs no step and decides nothing itself": (
        "api/routers.py",
        "from activities import credit",
    ),
}


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def test_every_contract_is_kept(house: Path) -> None:
    result = _lint(house)

    assert result.returncode == 0, result.stdout


@pytest.mark.quick(1)
@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_of_a_contract_is_seen(house: Path, contract: str) -> None:
    file, line = BREACHES[contract]
    (house / file).write_text(f"{line}\n{(house / file).read_text()}")

    result = _lint(house)

    assert result.returncode != 0
    assert f"{contract} BROKEN" in result.stdout


def test_every_contract_has_a_breach_here() -> None:
    stated = [
        line.split('"')[1]
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if line.startswith("name = ") and " " in line.split('"')[1]
    ]

    assert stated == list(BREACHES)
