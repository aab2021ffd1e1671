"""The demo as a person types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from handrail.dev.rabbitmq import is_installed

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.journey
needs_broker = pytest.mark.skipif(
    not is_installed() and os.environ.get("REQUIRE_BROKER") != "1",
    reason="NOT TESTED: rabbitmq-server is not installed (apt-get install it)",
)


WAYS: Sequence[Any] = ([], pytest.param(["--broker"], marks=needs_broker))


@pytest.mark.parametrize("options", WAYS, ids=["from the store", "from the broker"])
def test_the_demo_exits_cleanly_and_its_last_line_is_its_proof(
    tmp_path: Path, options: list[str]
) -> None:
    handrail = Path(sys.executable).with_name("handrail")

    result = subprocess.run(
        [
            *(handrail, "demo", "--orders", "30", "--merchants", "4", "--faults", "0.3"),
            *("--json", *options),
        ],
        cwd=ROOT,
        env={**os.environ, "HANDRAIL_DATA_DIR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout.splitlines()[-1])
    endings = ("completed", "refused", "compensated", "parked")
    assert sum(figures[ending] for ending in endings) == figures["orders"] == 30
    assert all(figures["invariants"].values())
    assert not list((tmp_path / "var").glob("demo-*")), "what a good run leaves behind"
