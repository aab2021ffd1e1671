"""How much of the processor something took."""

from __future__ import annotations

import contextlib

import psutil


def cpu_seconds(*pids: int) -> float:
    """What these processes and all below them have used so far, those that ended included.

    Raises psutil.NoSuchProcess where one of `pids` has ended.
    """
    used = 0.0
    for pid in pids:
        first = psutil.Process(pid)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system + times.children_user + times.children_system
    return used
