from __future__ import annotations

import subprocess
import sys
from typing import Literal

import pytest

from handrail.settings import Settings

FAILING = """
import structlog
from handrail import logs
from handrail.settings import Settings
logs.configure(Settings(log_format="{format}"), "test")
def connect(secret):
    raise ValueError("cannot connect")
try:
    connect("hunter" + "2")
except ValueError:
    structlog.get_logger().exception("it failed")
"""


@pytest.mark.quick(1)
@pytest.mark.parametrize("format_", ["console", "json"])
def test_a_logged_traceback_shows_no_local_variables(format_: Literal["console", "json"]) -> None:
    assert Settings(log_format=format_)

    said = subprocess.run(
        [sys.executable, "-c", FAILING.format(format=format_)],
        capture_output=True,
        text=True,
        check=True,
    ).stderr

    assert "ValueError: cannot connect" in said
    assert "hunter2" not in said
