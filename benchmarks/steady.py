"""Writes the events of checkouts at a steady rate, as a process of its own.

`python -m benchmarks.steady URL NAME RATE SECONDS`: prints how many events a second it were. It
falls behind rather than skip anything, and then catches up.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Final

import uvloop

from benchmarks.market import Append, Market
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.sagas.step_keys import StepContext, StepKey
from runtime.app import HANDRAIL

CUSTOMERS, MERCHANTS = 2_000, 100
WRITERS: Final = 4


def market(name: str) -> Market:
    return Market(name, CUSTOMERS, MERCHANTS)


async def write(url: str, name: str, rate: float, seconds: float) -> float:
    """Each step of a saga an append behind its fence, as in a worker."""
    wanted = int(rate * seconds)
    appends = market(name).trades()
    sagas: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    written = 0
    async with open_pool(url, size=WRITERS, name="bench-writer") as pool:
        store = EventStore(pool, HANDRAIL.codec)
        began = time.perf_counter()

        async def work() -> None:
            nonlocal written
            while written < wanted:
                append = next(appends)
                due = began + written / rate
                written += sum(len(several) for several in append.events.values())
                async with sagas[append.metadata["saga"]]:  # step by step
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                    await store.append(
                        [(stream, ANY_VERSION, events) for stream, events in append.events.items()],
                        context=_context(append),
                        metadata=append.metadata,
                    )

        await asyncio.gather(*(work() for _ in range(WRITERS)))
        return written / (time.perf_counter() - began)


def _context(append: Append) -> StepContext:
    said = append.metadata
    key = StepKey(
        saga=said["saga"],
        attempt=1,
        step=said["step"],
        direction=said["direction"],
        opened_on=datetime.now(UTC).date(),
    )
    return StepContext(key=key, actor="customer")


if __name__ == "__main__":
    _, url_, name_, rate_, seconds_ = sys.argv
    print(uvloop.run(write(url_, name_, float(rate_), float(seconds_))))
