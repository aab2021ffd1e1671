"""The feed under each interleaving that has cost some event store its events."""

from __future__ import annotations

import pytest

from handrail.eventstore.feed import read_page
from handrail.eventstore.store import ANY_VERSION, shard_of
from tests.eventstore.interleaving import ALL_SHARDS, Lab, notes
from tests.eventstore.tracing import traced


async def test_a_slow_writer_that_commits_last_is_still_delivered(lab: Lab) -> None:
    reader = await lab.reader()
    slow, fast = await lab.writers(2)
    await slow.append("slow-1")
    await fast.append("fast-1")
    await fast.commit()
    assert await reader.batch() == ["fast-1@1"]
    await slow.commit()
    assert await reader.batch() == ["slow-1@1"]
    await lab.expect_exactly_once(reader)


async def test_an_append_around_a_slow_writers_position_does_not_hide_it(lab: Lab) -> None:
    """What a cursor on positions loses: 1 and 3 are there, 2 comes later."""
    reader = await lab.reader()
    first, second = await lab.writers(2)
    await first.append("a-1")
    await second.append("b-1")
    await first.append("a-1")
    await first.commit()
    assert await reader.batch() == ["a-1@1", "a-1@2"]
    await second.commit()
    assert await reader.batch() == ["b-1@1"]
    await lab.expect_exactly_once(reader)


async def test_what_was_rolled_back_is_not_delivered(lab: Lab) -> None:
    reader = await lab.reader()
    writer = await lab.writer()
    await writer.append("a-1", 3)
    await lab.appended("b-1")
    await writer.rollback()
    await lab.appended("c-1")
    assert await reader.batch() == ["b-1@1", "c-1@1"]
    await lab.expect_exactly_once(reader)


async def test_what_a_savepoint_took_back_is_not_delivered(lab: Lab) -> None:
    reader = await lab.reader()
    writer = await lab.writer()
    await writer.append("a-1")
    await writer.savepoint()
    await writer.append("a-1")
    await writer.append("b-1")
    await writer.rollback_to_savepoint()
    await writer.append("c-1")
    await writer.commit()
    assert await reader.batch() == ["a-1@1", "c-1@1"]
    await lab.expect_exactly_once(reader)


async def test_what_a_released_savepoint_wrote_is_delivered_with_its_transaction(lab: Lab) -> None:
    """A row of a savepoint carries a number of its own in the heap: `txid` must not."""
    reader = await lab.reader()
    writer = await lab.writer()
    await writer.append("a-1")
    await writer.savepoint()
    await writer.append("a-1")
    await writer.release_savepoint()
    await lab.appended("b-1")
    assert await reader.batch() == ["b-1@1"]
    await writer.commit()
    assert await reader.batch() == ["a-1@1", "a-1@2"]
    await lab.expect_exactly_once(reader)


async def test_writing_before_the_append_does_not_turn_a_stream_around(lab: Lab) -> None:
    """What an order by transaction turns around: the older number appends the later version."""
    reader = await lab.reader()
    early, late = await lab.writers(2)
    await early.write_elsewhere()
    await late.append("a-1")
    await late.commit()
    await early.append("a-1")
    await early.commit()
    assert await reader.batch() == ["a-1@1", "a-1@2"]
    await lab.expect_exactly_once(reader)


async def test_the_same_with_a_page_in_between(lab: Lab) -> None:
    reader = await lab.reader(limit=1)
    early, late = await lab.writers(2)
    await early.write_elsewhere()
    await late.append("a-1")
    await late.commit()
    assert await reader.page() == ["a-1@1"]
    await early.append("a-1")
    await early.commit()
    assert await reader.batch() == []
    assert await reader.batch() == ["a-1@2"]
    await lab.expect_exactly_once(reader)


async def test_two_transactions_on_one_stream_come_in_the_order_of_its_versions(lab: Lab) -> None:
    reader = await lab.reader()
    one, other = await lab.writers(2)
    await one.append("a-1", 2)
    await lab.waits_until(other, other.append("a-1", 2), one.commit)
    assert await reader.batch() == ["a-1@1", "a-1@2"]
    await other.commit()
    assert await reader.batch() == ["a-1@3", "a-1@4"]


async def test_a_long_writer_elsewhere_delays_nobody(lab: Lab) -> None:
    """What a fence at the oldest open transaction waits for."""
    reader = await lab.reader()
    long = await lab.writer()
    await long.write_elsewhere()
    await lab.appended("a-1")
    assert await reader.batch() == ["a-1@1"]
    await long.append("long-1")
    await lab.appended("a-1")
    assert await reader.batch() == ["a-1@2"]
    await long.commit()
    assert await reader.batch() == ["long-1@1"]
    await lab.expect_exactly_once(reader)


async def test_a_writer_that_appends_over_many_batches_is_delivered_whole(lab: Lab) -> None:
    reader = await lab.reader(limit=2)
    long = await lab.writer()
    for number in range(5):
        await long.append("long-1")
        await lab.appended("a-1")
        assert await reader.batch() == [f"a-1@{number + 1}"]
    await long.commit()
    assert await reader.batch() == [f"long-1@{number}" for number in range(1, 6)]
    await lab.expect_exactly_once(reader)


async def test_commits_between_the_pages_of_a_batch_belong_to_the_next(lab: Lab) -> None:
    reader = await lab.reader(limit=2)
    low = await lab.writer()
    await low.append("low-1")
    await lab.appended("a-1", 5)
    assert await reader.page() == ["a-1@1", "a-1@2"]
    await low.commit()
    await lab.appended("a-1")
    assert await reader.batch() == ["a-1@3", "a-1@4", "a-1@5"]
    assert await reader.batch() == ["low-1@1", "a-1@6"]
    await lab.expect_exactly_once(reader)


@pytest.mark.thorough
async def test_a_low_position_that_comes_after_a_long_batch_is_delivered(lab: Lab) -> None:
    reader = await lab.reader(limit=10)
    low = await lab.writer()
    await low.append("low-1", 25)
    for number in range(30):
        await lab.appended(f"a-{number}", 3)
    assert len(await reader.batch()) == 90
    await low.commit()
    assert len(await reader.batch()) == 25
    await lab.expect_exactly_once(reader)


async def test_a_batch_with_a_wide_gap_is_delivered_on_both_sides(lab: Lab) -> None:
    """Early positions, then more than a page reads at once of what was delivered, then new ones."""
    reader = await lab.reader(limit=3)
    early = await lab.writer()
    await early.append("early-1", 7)
    await lab.appended("a-1", 400)
    await reader.batch()
    await early.commit()
    await lab.appended("b-1", 7)
    came = await reader.batch()
    assert came == [*(f"early-1@{n}" for n in range(1, 8)), *(f"b-1@{n}" for n in range(1, 8))]
    await lab.expect_exactly_once(reader)


async def test_a_batch_of_exactly_one_page_ends_with_an_empty_one(lab: Lab) -> None:
    reader = await lab.reader(limit=3)
    await lab.appended("a-1", 3)
    assert len(await reader.page()) == 3
    assert await reader.page() == []
    assert reader.cursor.until is None


async def test_readers_of_some_shards_get_those_and_together_all(lab: Lab) -> None:
    some, rest = ALL_SHARDS[:5], ALL_SHARDS[5:]
    readers = [await lab.reader(3, some), await lab.reader(4, rest), await lab.reader(5)]
    for number in range(40):
        await lab.appended(f"order-{number}", 2)
    for reader in readers:
        await reader.batch()
    await lab.expect_exactly_once(*readers)
    assert {shard_of(event.stream) for event in readers[0].delivered} == set(some)


async def test_a_rebuild_goes_over_to_the_live_feed_without_a_seam(lab: Lab) -> None:
    """Writers commit, and one stays open, while the history is read page by page."""
    across, low = await lab.writers(2)
    await lab.appended("a-1", 5)
    await low.append("low-1")
    await across.write_elsewhere()
    await lab.appended("b-1", 5)
    reader = await lab.rebuilder(limit=3)
    while True:
        await reader.page()
        if reader.cursor.until is None:
            break
        await lab.appended("a-1")
        await across.append("b-1")
    await lab.appended("b-2")
    await low.commit()
    await reader.batch()
    await across.commit()
    await reader.batch()
    await lab.expect_exactly_once(reader)


async def test_a_rebuild_needs_nothing_of_the_outbox_for_what_was_there(lab: Lab) -> None:
    await lab.appended("a-1", 5)
    reader = await lab.rebuilder(limit=2)
    await reader.page()
    await lab.sql.execute("TRUNCATE outbox")
    await lab.appended("b-1", 3)
    await reader.batch()
    await reader.batch()
    await lab.expect_exactly_once(reader)


async def test_an_empty_store_has_an_empty_batch(lab: Lab) -> None:
    reader = await lab.rebuilder()
    assert await reader.page() == []
    assert reader.cursor.until is None


async def test_reading_changes_nothing(lab: Lab) -> None:
    await lab.appended("a-1", 3)
    reader = await lab.rebuilder(limit=2)
    one = await read_page(reader.connection, reader.cursor, ALL_SHARDS, 2)
    assert await read_page(reader.connection, reader.cursor, ALL_SHARDS, 2) == one
    await lab.sql.execute("SET default_transaction_read_only = on")
    await read_page(lab.sql, reader.cursor, ALL_SHARDS, 2)


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
async def test_the_size_of_the_page_changes_nothing(lab: Lab, limit: int) -> None:
    reader, rebuilder = await lab.reader(limit), await lab.rebuilder(limit)
    for _ in range(3):
        await (await lab.store()).append(
            [("a-1", ANY_VERSION, notes(2)), ("b-2", ANY_VERSION, notes(3))]
        )
    await reader.batch()
    await rebuilder.batch()
    assert reader.delivered == rebuilder.delivered
    await lab.expect_exactly_once(reader, rebuilder)


async def test_a_page_is_one_round_trip_wherever_it_is_read(lab: Lab) -> None:
    await lab.appended("a-1", 2)
    reader = await lab.rebuilder(limit=2)
    pages: list[int] = []
    for events in (2, 0, 2, 1):  # of history, its end, the first page of a batch, a later one
        if events == 2 and pages:
            await lab.appended("a-1", 3)
        with traced(reader.connection) as wire:
            pages.append(len(await reader.page()))
        assert (pages[-1], wire.round_trips) == (events, 1)
