"""How every process of ours ends.

The Rust core of temporalio runs threads that may call back into Python while the interpreter is
being torn down. On Python 3.11 that now and then aborts a process whose work is long done: exit
code 134 (`PyGILState_Release`) or a segmentation fault instead of 0, which a supervisor or a shell
script takes for a failure. So the teardown is not entered: what it is good for is done by hand, and
the process leaves with the code it means. Everything else is closed where it was opened; nothing
of ours may depend on being collected at exit.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130


def leave(code: int) -> NoReturn:
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()  # noqa: SLF001  # there is no public way to run them early
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


def run_and_leave(work: Callable[[], object]) -> NoReturn:
    """Run a command to its end and leave with its exit code: what it returns, when that is one."""
    leave(_code_of(work))


def _code_of(work: Callable[[], object]) -> int:
    try:
        result = work()
    except SystemExit as asked:
        if asked.code is None or isinstance(asked.code, int):
            return asked.code or 0
        print(asked.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException:  # noqa: BLE001  # this is the last place that can tell
        traceback.print_exc()
        return 1
    return result if isinstance(result, int) else 0
