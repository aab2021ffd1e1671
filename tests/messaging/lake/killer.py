"""Becomes another program, which the kernel kills when it makes a certain system call.

    python killer.py commit PROGRAM [ARGUMENT…]

`commit`: a Delta commit on a local disk is a link from a finished file to the name of the version,
since a link fails where another was faster. Data files are renamed into place. So who is killed at
the first link has written all its data files, and committed nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06  # BPF: ld [k]; jeq k; ret k
_KILL_PROCESS, _ALLOW = 0x80000000, 0x7FFF0000
_CALLS = {
    "commit": {"x86_64": (0xC000003E, [86, 265]), "aarch64": (0xC00000B7, [37])},  # link, linkat
}


def _kill_at(calls: str) -> None:
    architecture, numbers = _CALLS[calls][platform.machine()]
    checks = [(_EQUALS, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    program = [
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUALS, 0, len(numbers) + 1, architecture),
        (_LOAD, 0, 0, 0),  # the number of the call
        *checks,
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL_PROCESS),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    filtered = ctypes.byref(Program(len(program), ctypes.addressof(code)))
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filtered, 0, 0),
    ):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    _kill_at(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
