"""How memory and throughput go while something runs for long."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

MB: Final = 2**20
_POINTS: Final = 60
"""As many a plot has; each is the mean of the samples around it."""


@dataclass(frozen=True)
class Sample:
    """`done` counts from the beginning; `memory` is in MB, by process."""

    seconds: float
    done: int
    memory: Mapping[str, float]


def memory_of(pid: int) -> float:
    """MB that only this process has, and that would be free without it.

    Raises psutil.NoSuchProcess where it has ended.
    """
    uss: int = psutil.Process(pid).memory_full_info().uss
    return uss / MB


async def watch(
    pids: Mapping[str, int], done: Callable[[], int], *, every: float, seconds: float
) -> Sequence[Sample]:
    """A process that ends meanwhile is an error: what replaces it has another memory."""
    began = time.monotonic()
    samples = []
    while (now := time.monotonic() - began) <= seconds:
        memory = {name: memory_of(pid) for name, pid in pids.items()}
        samples.append(Sample(now, done(), memory))
        await asyncio.sleep(max(len(samples) * every - (time.monotonic() - began), 0))
    return samples


def quarter(samples: Sequence[Sample], number: int, process: str) -> float:
    """The median memory of the first (1) to the last (4) quarter, in MB."""
    total = len(samples)
    part = samples[total * (number - 1) // 4 : total * number // 4]
    return statistics.median(one.memory[process] for one in part)


def growth(samples: Sequence[Sample], process: str) -> float:
    """From the second quarter, by which caches are full, to the last."""
    return quarter(samples, 4, process) / quarter(samples, 2, process)


def points(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """What is drawn: at which minutes, how many were done a second, and the memory by process."""
    size = max(len(samples) // _POINTS, 1)
    parts = [samples[at : at + size + 1] for at in range(0, len(samples) - 1, size)]
    return {
        "minutes": [round(part[-1].seconds / 60, 2) for part in parts],
        "done_per_s": [
            round((part[-1].done - part[0].done) / (part[-1].seconds - part[0].seconds), 2)
            for part in parts
        ],
        **{
            f"{process}_mb": [
                round(statistics.mean(one.memory[process] for one in part), 1) for part in parts
            ]
            for process in samples[0].memory
        },
    }
