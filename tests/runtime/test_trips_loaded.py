"""The App of the trips loads neither FastAPI nor Temporal: each process imports what it runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.runtime.conftest import ROOT
from tests.runtime.test_loaded_packages import HEAVY, STORE

WORKFLOWS = {*STORE, "temporalio"}
LOADED = {
    "TRIPS": STORE,
    "TRIPS.read_models": STORE,
    "[one.create(None, None) for one in TRIPS.simulators]": {*STORE, "fastapi"},
    "TRIPS.saga_types": WORKFLOWS,
    "TRIPS.routers()": {*WORKFLOWS, "fastapi"},
}
"""The heavy packages, by what is made of the App."""


@pytest.mark.thorough
@pytest.mark.parametrize("made", LOADED)
def test_a_part_of_the_trips_loads_what_it_needs(made: str) -> None:
    said = subprocess.check_output(
        [
            sys.executable,
            "-c",
            f"import sys; from trips.app import TRIPS; {made}; print(*sys.modules)",
        ],
        cwd=ROOT / "examples/trips",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        timeout=60,
    )
    assert {name.partition(".")[0] for name in said.split()} & HEAVY == LOADED[made]
