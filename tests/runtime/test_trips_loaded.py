"""The App of the trips loads neither FastAPI nor Temporal: each process imports what it runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.runtime.conftest import ROOT
from tests.runtime.test_loaded_packages import HEAVY, STORE

PARTS = {
    "the App": ("", STORE),
    "its read models": ("TRIPS.read_models", STORE),
    "its simulators": ("[one.create(None, None) for one in TRIPS.simulators]", {"fastapi"}),
    "its routes": ("TRIPS.routers()", {"fastapi"}),
    "its sagas": ("TRIPS.saga_types", {"temporalio"}),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_trips_loads_what_it_needs(part: str) -> None:
    made, needs = PARTS[part]
    program = f"import sys; from trips.app import TRIPS; {made or 'TRIPS'}; print(*sys.modules)"
    said = subprocess.check_output(
        [sys.executable, "-c", program],
        cwd=ROOT / "examples/trips",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        timeout=60,
    )
    loaded = {name.partition(".")[0] for name in said.split()} & HEAVY
    assert needs <= loaded
    assert loaded - needs <= ({*STORE, "temporalio", "uvicorn"} if needs != STORE else set())
