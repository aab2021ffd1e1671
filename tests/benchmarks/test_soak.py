"""A short soak: what is killed comes back, nothing is left, and what must live has lived."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import soak
from benchmarks.goals import GOALS
from runtime.settings import ShopSettings

pytestmark = pytest.mark.journey

SECONDS = 30


async def test_nothing_is_left_after_a_worker_and_a_projector_were_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MERCHANTS": 4, "CUSTOMERS": 4, "RESTARTS": 4, "IN_FLIGHT": 2}.items():
        monkeypatch.setattr(soak, name, value)
    settings = ShopSettings(data_dir=tmp_path)

    soaked = await soak.soak(settings, Console(stderr=True), seconds=SECONDS, capacity_seconds=5)

    assert soaked.restarts == 4
    assert soaked.served.accepted > 0
    assert soaked.left.total == 0
    assert soaked.violations == {}
    found = soak.result(soaked, SECONDS, settings)
    assert {goal.measure for goal in GOALS["soak"]} <= found.figures.keys() | found.ratios.keys()
    assert found.figures["orders"] == soaked.served.accepted
    assert len(found.figures["over_time"]["minutes"]) > 20
