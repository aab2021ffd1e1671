"""A stream that only has to be unchanged stays so until the append commits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence

import pytest

from handrail.eventstore.store import ANY_VERSION, VersionConflict
from tests.eventstore.interleaving import Lab, Writer, notes

Streams = Mapping[str, tuple[int | None, int]]
"""By name: the version that is expected, and how many events are added."""


async def _append(writer: Writer, streams: Streams) -> None:
    await writer.store.append([(name, at, notes(count)) for name, (at, count) in streams.items()])


CROSSED: Sequence[tuple[Streams, Streams]] = [
    ({"a-1": (0, 1), "b-1": (0, 0)}, {"a-1": (0, 0), "b-1": (0, 1)}),
    ({"a-1": (0, 0), "b-1": (0, 1)}, {"a-1": (0, 1), "b-1": (0, 0)}),
    ({"a-1": (0, 2), "b-1": (0, 0), "c-1": (0, 0)}, {"a-1": (0, 0), "c-1": (0, 1)}),
    ({"b-1": (0, 1), "d-1": (0, 0)}, {"a-1": (0, 1), "b-1": (0, 0), "d-1": (0, 3)}),
]


@pytest.mark.parametrize(("first", "second"), CROSSED)
@pytest.mark.parametrize("there", [0, 3], ids=["new streams", "streams that exist"])
async def test_of_two_that_need_each_others_stream_unchanged_the_second_is_refused(
    lab: Lab, first: Streams, second: Streams, there: int
) -> None:
    if there:
        for name in sorted({*first, *second}):
            await lab.appended(name, there)
    at = [{name: (there, n) for name, (_, n) in one.items()} for one in (first, second)]
    one, two = await lab.writers(2)
    await _append(one, at[0])
    with pytest.raises(VersionConflict):
        await lab.waits_until(two, _append(two, at[1]), one.commit)


@pytest.mark.parametrize("there", [0, 1], ids=["a new stream", "a stream that exists"])
async def test_any_number_of_appends_check_a_stream_at_once(lab: Lab, there: int) -> None:
    if there:
        await lab.appended("a-1", there)
    writers = await lab.writers(4)
    for number, writer in enumerate(writers):
        await _append(writer, {"a-1": (there, 0), f"b-{number}": (0, 1)})
    for writer in writers:
        await writer.commit()
    assert (await lab.counts())["events"] == there + 4


@pytest.mark.parametrize("there", [0, 1], ids=["a new stream", "a stream that exists"])
async def test_a_writer_waits_for_those_who_need_its_stream_unchanged(lab: Lab, there: int) -> None:
    if there:
        await lab.appended("a-1", there)
    checking, writing = await lab.writers(2)
    await _append(checking, {"a-1": (there, 0), "b-1": (0, 1)})
    await lab.waits_until(writing, writing.append("a-1", expected=there), checking.commit)
    await writing.commit()
    assert await lab.rows("SELECT name, version FROM streams ORDER BY name") == [
        ("a-1", there + 1),
        ("b-1", 1),
    ]


async def test_a_check_goes_on_where_the_writer_of_the_stream_rolls_back(lab: Lab) -> None:
    writing, checking = await lab.writers(2)
    await writing.append("a-1")
    check = _append(checking, {"a-1": (0, 0), "b-1": (0, 1)})
    await lab.waits_until(checking, check, writing.rollback)
    await checking.commit()


async def test_a_stream_that_is_only_checked_is_not_made(lab: Lab) -> None:
    await (await lab.store()).append([("a-1", 0, []), ("b-1", ANY_VERSION, notes(1))])
    assert await lab.rows("SELECT name FROM streams") == [("b-1",)]


async def test_many_that_check_and_write_the_same_streams_neither_deadlock_nor_pass_each_other(
    lab: Lab,
) -> None:
    """Of the streams of a ring each may be written only while the next one is empty."""
    ring = [f"{letter}-1" for letter in "abcdef"]
    pairs = [*itertools.pairwise(ring), (ring[-1], ring[0])]
    stores = [await lab.store() for _ in range(3 * len(pairs))]

    async def write(number: int, mine: str, next_one: str) -> None:
        try:
            await stores[number].append([(mine, ANY_VERSION, notes(1)), (next_one, 0, [])])
        except VersionConflict:
            return

    await asyncio.gather(*(write(n, *pair) for n, pair in enumerate(3 * pairs)))

    written = {name for (name,) in await lab.rows("SELECT name FROM streams")}
    firsts = dict(await lab.rows("SELECT stream, min(position) FROM events GROUP BY stream"))
    lasts = dict(await lab.rows("SELECT stream, max(position) FROM events GROUP BY stream"))
    assert 0 < len(written) < len(ring)
    for mine, next_one in pairs:
        if {mine, next_one} <= written:
            assert lasts[mine] < firsts[next_one], f"{mine} was written after {next_one}"
