"""A leak is seen in the memory of whoever lives long enough."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

import psutil
import pytest

from benchmarks.over_time import Sample, growth, memory_of, points, watch

SAMPLES = 240
MINUTES = 20


def _samples(memory: Callable[[float], float], per_s: float = 10) -> Sequence[Sample]:
    """Of one worker; `memory` is asked with the part of the time that is over."""
    return [
        Sample(
            seconds=60 * MINUTES * number / SAMPLES,
            done=round(60 * MINUTES * number / SAMPLES * per_s),
            memory={"worker": memory(number / SAMPLES)},
        )
        for number in range(SAMPLES + 1)
    ]


@pytest.mark.parametrize(
    ("memory", "flat"),
    [
        (lambda _: 120.0, True),
        (lambda at: 80 + min(at * 5, 1) * 60, True),  # caches that are full before the quarter ends
        (
            lambda at: 120 + (30 if round(at * SAMPLES) % 30 == 15 else 0),
            True,
        ),  # a restart's moment
        (lambda at: 120 + at * 30, False),  # 0.6 KB an order, at 40 a second
        (lambda at: 120 + (30 if at > 0.6 else 0), False),
    ],
    ids=["flat", "caches", "peaks", "a leak", "a step"],
)
def test_only_what_keeps_growing_counts_as_a_leak(
    memory: Callable[[float], float], *, flat: bool
) -> None:
    assert (growth(_samples(memory), "worker") <= 1.1) is flat


def test_the_plot_has_every_minute_and_the_rate_of_each() -> None:
    found = points(_samples(lambda _: 120, per_s=10))

    assert found["minutes"][-1] == MINUTES
    assert len(found["minutes"]) == len(found["worker_mb"]) == 60
    assert set(found["done_per_s"]) == {10}


def test_what_a_process_takes_is_seen() -> None:
    takes = (
        "import sys; held = []\n"
        "for line in sys.stdin: held.append(b'x' * 30_000_000); print(len(held), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", takes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        before = memory_of(process.pid)

        process.stdin.write("more\n")
        process.stdin.flush()
        process.stdout.readline()

        assert 25 < memory_of(process.pid) - before < 35
        process.stdin.close()


async def test_a_process_that_ended_cannot_be_watched() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()

    with pytest.raises(psutil.NoSuchProcess):
        await watch({"it": process.pid}, lambda: 0, every=0.1, seconds=1)


async def test_samples_are_taken_until_the_time_is_over() -> None:
    samples = await watch({"me": os.getpid()}, lambda: 7, every=0.05, seconds=0.2)

    assert samples[0].seconds < samples[-1].seconds <= 0.2
    assert {one.done for one in samples} == {7}
    assert samples[-1].memory["me"] > 10
