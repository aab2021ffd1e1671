"""A contender is a process of its own; the benchmark tells it when it is its turn.

One line of JSON each way: so many sagas, with so many in flight; how many seconds they took.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

from benchmarks.processor import cpu_seconds
from handrail.process_exit import run_and_leave
from handrail.readiness import seldom_collect

_READY: Final = b"ready\n"
_LOOK: Final = 2.0  # seconds
_IDLE: Final = 0.1
"""Seconds of CPU between two looks."""
_SETTLES_WITHIN: Final = 20.0  # seconds

Saga = Callable[[int], Awaitable[Any]]
"""Runs the saga of that number to its end."""


@dataclass(frozen=True)
class Turn:
    """`cpu_ms` is what each process, or family of processes, used for one saga."""

    sagas: int
    seconds: float
    cpu_ms: dict[str, float]

    @property
    def per_s(self) -> float:
        return self.sagas / self.seconds


# The side of the contender.


Open = Callable[..., contextlib.AbstractAsyncContextManager[Saga]]


def contend(open_: Open) -> None:
    """Take turns until the benchmark hangs up; `open_` gets what `contender` was given."""
    # The SDK's core writes its warnings to the standard output: they belong to the log.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run_and_leave(lambda: runner.run(_contend(open_, sys.argv[1:], answers)))


async def _contend(open_: Open, given: Sequence[str], answers: RawIOBase) -> None:
    async with open_(*given) as saga:
        seldom_collect()
        answers.write(_READY)
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = orjson.loads(line)
            began = time.perf_counter()
            numbers = range(asked["first"], asked["first"] + asked["sagas"])
            await _all_of(saga, numbers, asked["in_flight"])
            seconds = time.perf_counter() - began
            answers.write(orjson.dumps({"seconds": seconds}) + b"\n")


async def _all_of(saga: Saga, numbers: Sequence[int], in_flight: int) -> None:
    left = iter(numbers)

    async def one_after_the_other() -> None:
        for number in left:
            await saga(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(one_after_the_other())


# The side of the benchmark.


@dataclass
class Contender:
    name: str
    process: asyncio.subprocess.Process
    servers: dict[str, int]
    _next: int = 0

    async def turn(self, sagas: int, in_flight: int, *, first: int | None = None) -> Turn:
        """The sagas from the number `first`, or from where the last turn ended.

        Raises RuntimeError, with where to look, when the contender did not survive it.
        """
        before = self._cpu()
        first = self._next if first is None else first
        self._next = first + sagas
        asked = orjson.dumps({"first": first, "sagas": sagas, "in_flight": in_flight})
        assert self.process.stdin is not None
        self.process.stdin.write(asked + b"\n")
        answer = orjson.loads(await _line(self))
        used = {name: (after - before[name]) * 1000 for name, after in self._cpu().items()}
        each = {name: ms / sagas for name, ms in used.items()}
        return Turn(sagas, answer["seconds"], each)

    async def settled(self) -> None:
        """Wait until the servers have done what the last turn left them to do, at most a while.

        Temporal's has timers of activities to clear up, seconds after the workflow has ended.
        """
        deadline = time.monotonic() + _SETTLES_WITHIN
        used, before = math.inf, self._cpu()
        while used > _IDLE and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK)
            now = self._cpu()
            used = sum(now.values()) - sum(before.values())
            before = now

    def _cpu(self) -> dict[str, float]:
        pids = {self.name: self.process.pid, **self.servers}
        return {name: cpu_seconds(pid) for name, pid in pids.items()}


@asynccontextmanager
async def contender(
    name: str,
    module: str,
    given: Sequence[str],
    *,
    log: Path,
    servers: dict[str, int],
) -> AsyncIterator[Contender]:
    """`given` is what it opens with: the addresses of the database and of Temporal come first.

    `servers` are the process ids of those whose CPU is counted beside the contender's own.
    """
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", module, *given),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        one = Contender(name, process, servers)
        try:
            assert await _line(one) == _READY
            yield one
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                os.kill(process.pid, signal.SIGKILL)
                await process.wait()


async def _line(one: Contender) -> bytes:
    assert one.process.stdout is not None
    if line := await one.process.stdout.readline():
        return line
    raise RuntimeError(f"{one.name} ended: its log in the benchmark's folder says why")
