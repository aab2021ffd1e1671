from __future__ import annotations

import pytest

from tests.runtime.conftest import Spawn

SCRIPT = """
import atexit, sys, threading
from temporalio.runtime import Runtime
from handrail.process_exit import run_and_leave

Runtime.default()
threading.Thread(target=threading.Event().wait).start()  # would keep the interpreter for ever
atexit.register(lambda: print("tidied"))

def work():
    print("worked", end="")
    {}

run_and_leave(work)
"""


@pytest.mark.quick(3)
@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("pass", 0),
        ("return 0", 0),
        ("return 3", 3),
        ("raise SystemExit", 0),
        ("raise SystemExit(4)", 4),
        ("sys.exit('said why')", 1),
        ("raise KeyboardInterrupt", 130),
        ("raise ValueError('said why')", 1),
    ],
)
async def test_a_process_leaves_with_the_code_it_means_and_loses_no_output(
    end: str, code: int, python: Spawn
) -> None:
    process = await python("-c", SCRIPT.format(end))

    out, error = await process.communicate()

    assert process.returncode == code, error.decode()
    assert out == b"workedtidied\n"
    assert (b"said why" in error) == ("said why" in end)
