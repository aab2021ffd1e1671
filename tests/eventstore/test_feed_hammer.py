"""Many writers of every bad habit against two readers. `pytest -s` prints the figures."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import pytest

from handrail.eventstore.feed import read_page
from handrail.eventstore.store import ANY_VERSION
from tests.eventstore.interleaving import Lab, Noted, Reader, Writer

pytestmark = pytest.mark.thorough

SEED = 20261123
WRITERS, APPENDS, STREAMS = 16, 5_000, 200


@dataclass
class Figures:
    """When each append was committed, and when its last event came, by the text of its events."""

    committed: dict[str, float] = field(default_factory=dict)
    delivered: dict[str, float] = field(default_factory=dict)
    rolled_back: int = 0
    restarts: int = 0

    def delays(self) -> list[float]:
        return sorted(
            max(0.0, self.delivered[text] - at) * 1e3 for text, at in self.committed.items()
        )


async def _write(writer: Writer, name: str, turns: int, figures: Figures) -> None:
    chance = random.Random(f"{SEED} {name}")
    for turn in range(turns):
        text = f"{name}-{turn}"
        if chance.random() < 0.3:
            await writer.write_elsewhere()
        if chance.random() < 0.2:
            await writer.savepoint()
            await writer.append(f"note-{chance.randrange(STREAMS)}")
            if chance.random() < 0.5:
                await writer.rollback_to_savepoint()
        events = [Noted(text=text)] * chance.randint(1, 3)
        await writer.store.append([(f"order-{chance.randrange(STREAMS)}", ANY_VERSION, events)])
        if chance.random() < 0.1:
            await asyncio.sleep(chance.random() * 0.02)
        if chance.random() < 0.1:
            await writer.rollback()
            figures.rolled_back += 1
        else:
            await writer.commit()
            figures.committed[text] = time.perf_counter()


async def _follow(lab: Lab, reader: Reader, figures: Figures, done: asyncio.Event) -> None:
    """The reader of small pages dies now and then, after a page was read and before it counts."""
    chance = random.Random(SEED)
    while True:
        last_round, seen = done.is_set(), len(reader.delivered)
        if reader.limit < 100 and chance.random() < 0.1:
            await read_page(reader.connection, reader.cursor, reader.shards, reader.limit)
            await reader.connection.close()
            reader.connection = await lab.connect(autocommit=True)
            figures.restarts += 1
        await reader.page()
        for event in reader.delivered[seen:]:
            figures.delivered[event.data["text"]] = time.perf_counter()
        if reader.cursor.until is None and len(reader.delivered) == seen:
            if last_round:
                return
            await asyncio.sleep(0.005)


async def test_nothing_is_lost_doubled_or_turned_around_under_load(lab: Lab) -> None:
    figures, ignored, done = Figures(), Figures(), asyncio.Event()
    fast, restarting = await lab.reader(400), await lab.reader(30)
    long = await lab.writer()
    await long.append("long-1")
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_follow(lab, fast, figures, done))
        tasks.create_task(_follow(lab, restarting, ignored, done))
        async with asyncio.TaskGroup() as writing:
            for number, writer in enumerate(await lab.writers(WRITERS)):
                turns = APPENDS // WRITERS + (number < APPENDS % WRITERS)
                writing.create_task(_write(writer, f"w{number}", turns, figures))
        seconds = time.perf_counter() - began
        done.set()
    assert "long-1" not in {event.stream for event in fast.delivered}
    await long.commit()
    await fast.batch()
    await restarting.batch()
    await lab.expect_exactly_once(fast, restarting)
    assert fast.delivered[-1].stream == "long-1"

    delays = figures.delays()
    p50, p99, longest = (delays[int(part * (len(delays) - 1))] for part in (0.5, 0.99, 1))
    print(  # noqa: T201
        f"\nseed {SEED}: {APPENDS} appends by {WRITERS} writers in {seconds:.1f} s,"
        f" {figures.rolled_back} rolled back, {len(fast.delivered)} events delivered twice over,"
        f" {ignored.restarts} restarts; commit to delivery p50 {p50:.0f} ms, p99 {p99:.0f} ms,"
        f" longest {longest:.0f} ms, while one writer was open all the time"
    )
    assert p99 < 250
