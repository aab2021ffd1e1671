"""A folder in memory, where files are made and removed several times as fast as on a disk."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

MEMORY: Final = Path("/dev/shm")  # the folders in it have names that cannot be guessed
ROOM: Final = 2 << 30  # bytes
_PREFIX: Final = "handrail-tests-"
_LOCK: Final = "in-use"
_TURN: Final = "handrail-tests.lock"


@contextmanager
def a_folder(memory: Path = MEMORY) -> Iterator[Path]:
    """In `memory` where that has room for two gigabytes, and else among the temporary files.

    It goes with the block. What a process left there that was killed goes when the next begins.
    """
    in_memory = memory.is_dir() and os.access(memory, os.W_OK)
    with ExitStack() as stack:
        # One begins at a time: a folder that is not locked yet looks as if it were left behind.
        with (memory / _TURN).open("w") if in_memory else nullcontext() as turn:
            if turn is not None:
                fcntl.flock(turn, fcntl.LOCK_EX)
                _remove_what_was_left(memory)
                in_memory = shutil.disk_usage(memory).free > ROOM
            folder = TemporaryDirectory(prefix=_PREFIX, dir=memory if in_memory else None)
            name = stack.enter_context(folder)
            lock = stack.enter_context(Path(name, _LOCK).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(name)


def _remove_what_was_left(memory: Path) -> None:
    for lock in memory.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:  # it is in use, or has just gone
            continue
