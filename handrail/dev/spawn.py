"""Becomes another program, after promising to die with its parent.

Runs as a script of its own, between fork and exec, because the alternative (`preexec_fn`) runs
Python in a forked copy of a process full of threads, which can hang. It therefore imports nothing
of ours: `python -I -S spawn.py PARENT_PID SIGNAL UID PROGRAM [ARGUMENT…]`, UID -1 to keep it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


def _become(uid: int, needs: list[str]) -> None:
    """Give up root, as PostgreSQL demands, and keep no right of it where every path that it `needs`
    can be reached without.

    A home folder or a pytest folder of root is closed to everybody else; opening it (what most
    launchers do) would stay behind. There the right to pass through folders is kept, which goes
    away with the process; it lets nothing be written.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if libc:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    if libc and not all(os.access(path, os.R_OK | os.X_OK) for path in needs):
        mask = 1 << _CAP_DAC_READ_SEARCH
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        if libc.capset(header, sets) == 0:
            libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0)


def _places(program: list[str]) -> list[str]:
    """The folders that a command line names, and the folder of the program."""
    paths = [Path(program[0]).parent, *(Path(one) for one in program[1:] if one.startswith("/"))]
    return [str(path) for path in paths if not path.is_file()]


def _die_with(parent: int, death_signal: int) -> None:
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before the promise
        os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str]) -> None:
    parent, death_signal, uid = (int(argument) for argument in arguments[:3])
    program = arguments[3:]
    if uid >= 0:
        _become(uid, _places(program))  # before the promise: changing the user cancels it
    _die_with(parent, death_signal)
    os.execv(program[0], program)  # noqa: S606  # our own


if __name__ == "__main__":
    main(sys.argv[1:])
