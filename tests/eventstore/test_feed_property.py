"""Any interleaving of four transactions and a reader, made up and shrunk by Hypothesis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handrail.eventstore.feed import Cursor
from handrail.eventstore.tables import NOTHING_SEEN
from tests.eventstore.interleaving import Lab, Reader, Writer

pytestmark = pytest.mark.thorough

Deed = Literal["append", "elsewhere", "savepoint", "roll back to savepoint", "commit", "roll back"]
WRITERS, STREAMS = 4, 3


@dataclass(frozen=True)
class Write:
    writer: int
    deed: Deed
    stream: int
    count: int


@dataclass(frozen=True)
class Read:
    """One page: small ones leave a batch unfinished while others commit."""


writes = st.builds(
    Write,
    writer=st.integers(0, WRITERS - 1),
    deed=st.sampled_from(
        [
            *("append", "append", "append", "commit", "commit", "roll back"),
            *("elsewhere", "savepoint", "roll back to savepoint"),
        ]
    ),
    stream=st.integers(0, STREAMS - 1),
    count=st.integers(1, 4),
)
steps = st.lists(st.one_of(writes, writes, st.just(Read())), min_size=25, max_size=40)


@dataclass
class World:
    """The transactions, and what is known of them, so that no step waits for another."""

    lab: Lab
    writers: list[Writer]
    owner: dict[int, int] = field(default_factory=dict)
    savepoints: set[int] = field(default_factory=set)

    async def write(self, step: Write) -> None:
        writer = self.writers[step.writer]
        match step.deed:
            case "append":
                if self.owner.setdefault(step.stream, step.writer) == step.writer:
                    await writer.append(f"s-{step.stream}", step.count)
            case "elsewhere":
                await writer.write_elsewhere()
            case "savepoint":
                await writer.savepoint()
                self.savepoints.add(step.writer)
            case "roll back to savepoint":
                if step.writer in self.savepoints:
                    await writer.rollback_to_savepoint()
            case "commit":
                await writer.commit()
                self._ended(step.writer)
            case "roll back":
                await writer.rollback()
                self._ended(step.writer)

    async def end(self) -> None:
        for number, writer in enumerate(self.writers):
            await writer.commit()
            self._ended(number)

    def _ended(self, writer: int) -> None:
        self.savepoints.discard(writer)
        self.owner = {stream: by for stream, by in self.owner.items() if by != writer}


async def _committed(lab: Lab, after: int) -> list[int]:
    found = await lab.rows("SELECT position FROM events WHERE position > %s ORDER BY 1", after)
    return [position for (position,) in found]


def _expect_stream_order(reader: Reader) -> None:
    newest: dict[str, int] = {}
    for event in reader.delivered:
        assert event.version > newest.get(event.stream, 0), "a stream was turned around"
        newest[event.stream] = event.version


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps, limit=st.integers(1, 6))
async def test_any_interleaving_is_delivered_once_and_in_stream_order(
    lab: Lab, steps: list[Write | Read], limit: int
) -> None:
    async with Lab(lab.url) as fresh:  # a failure leaves no transaction open for the next example
        await _play(fresh, steps, limit)


async def _play(lab: Lab, steps: list[Write | Read], limit: int) -> None:
    world, reader = World(lab, await lab.writers(WRITERS)), await lab.reader(limit)
    reader.delivered.clear()
    before = (await lab.counts())["position"]
    for step in steps:
        if isinstance(step, Write):
            await world.write(step)
            continue
        begins = reader.cursor.until is None
        await reader.page()
        got = sorted(event.position for event in reader.delivered)
        truth = await _committed(lab, before)
        assert set(got) <= set(truth), "what was not committed was delivered"
        if begins and reader.cursor.until is None:
            assert got == truth, "a whole batch left out what was committed"
    await world.end()
    await reader.batch()
    await reader.batch()
    rebuilt = Reader(reader.connection, limit, cursor=Cursor(NOTHING_SEEN, after=before))
    await rebuilt.batch()
    for one in (reader, rebuilt):
        assert sorted(e.position for e in one.delivered) == await _committed(lab, before)
        _expect_stream_order(one)
