"""The demo as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.journey


def test_the_demo_exits_cleanly_and_its_last_line_is_its_proof(tmp_path: Path) -> None:
    handrail = Path(sys.executable).with_name("handrail")

    result = subprocess.run(
        [handrail, "demo", "--orders", "30", "--merchants", "4", "--faults", "0.3", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout.splitlines()[-1])
    endings = ("completed", "refused", "compensated", "parked")
    assert sum(figures[ending] for ending in endings) == figures["orders"] == 30
    assert all(figures["invariants"].values())
    assert not list((tmp_path / "var").glob("demo-*")), "what a good run leaves behind"
