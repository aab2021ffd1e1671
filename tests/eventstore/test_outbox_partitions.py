"""The partitions of the outbox come ahead of need, go when nobody can need them, and delay none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from psycopg.errors import RaiseException

from tests.eventstore.interleaving import DEADLINE, Lab, Reader, step

ROWS = 10
WAITING = (
    "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
    " WHERE datname = current_database() AND NOT granted"
)
AHEAD = 2_000_001  # where the partitions end that the migration made


@pytest.fixture
def lab(own_lab: Lab) -> Lab:
    return own_lab


@dataclass
class Outbox:
    """An outbox of partitions of ten rows, the first of which begins at `AHEAD`."""

    lab: Lab

    async def maintain(self) -> int:
        """On a connection of its own, so that others can be watched meanwhile."""
        connection = await self.lab.connect(autocommit=True)
        async with asyncio.timeout(DEADLINE):
            found = await connection.execute("SELECT maintain_partitions(%s, '1 year')", [ROWS])
            [changes] = await found.fetchone() or [0]
        await connection.close()
        return int(changes)

    async def partitions(self) -> list[int]:
        """The ends of the partitions of ten rows, counted from `AHEAD`."""
        found = await self.lab.rows(
            "SELECT substr(relname, 11)::bigint - %s FROM pg_class"
            " WHERE relname ~ '^outbox_to_\\d+$' AND relkind = 'r' ORDER BY 1",
            AHEAD,
        )
        return [end for (end,) in found if end > 0]

    async def in_default(self) -> int:
        return int(await self.lab.value("SELECT count(*) FROM outbox_default"))

    async def checkpoint(self, reader: Reader, name: str = "p") -> None:
        await self.lab.sql.execute(
            "INSERT INTO checkpoints (projection, shard, since, until, after_position)"
            " VALUES (%s, 0, %s, %s, %s) ON CONFLICT (projection, shard) DO UPDATE"
            " SET since = excluded.since, until = excluded.until",
            [name, reader.cursor.since, reader.cursor.until, reader.cursor.after],
        )

    async def fill(self, partitions: int) -> None:
        await self.lab.appended("a-1", partitions * ROWS)


@pytest.fixture
async def outbox(lab: Lab) -> Outbox:
    outbox = Outbox(lab)
    await lab.sql.execute(f"SELECT setval('events_position_seq', {AHEAD}, false)".encode())
    await outbox.maintain()
    return outbox


async def test_there_is_always_a_whole_partition_to_spare(outbox: Outbox) -> None:
    assert await outbox.partitions() == [10, 20]
    await outbox.checkpoint(await outbox.lab.rebuilder())
    await outbox.lab.appended("a-1", 15)
    assert await outbox.maintain() == 2
    assert await outbox.partitions() == [10, 20, 30, 40]
    assert await outbox.maintain() == 0


async def test_a_new_partition_is_like_its_table(outbox: Outbox) -> None:
    """The same indexes and constraints, so that plans and guards are the same in each."""
    assert (
        await outbox.lab.rows(
            "SELECT count(*), count(DISTINCT i.indkey::text) FROM pg_index i"
            " JOIN pg_inherits ON inhrelid = indrelid"
            " WHERE inhparent = 'outbox'::regclass GROUP BY indrelid"
        )
        == [(2, 2)] * 3
    )
    assert await outbox.lab.value("SELECT bool_and(indisvalid) FROM pg_index")


async def test_what_came_before_its_partition_is_fed_all_the_same(outbox: Outbox) -> None:
    reader = await outbox.lab.reader(7)
    await outbox.fill(4)
    assert await outbox.in_default() == 20
    await reader.batch()
    await outbox.lab.expect_exactly_once(reader)


async def test_new_partitions_begin_behind_what_is_in_the_default_one(outbox: Outbox) -> None:
    reader = await outbox.lab.reader(7)
    await outbox.checkpoint(reader)
    await outbox.lab.appended("a-1", 33)
    await outbox.maintain()
    assert await outbox.partitions() == [10, 20, 43, 53]
    await outbox.lab.appended("a-1", 15)
    assert await outbox.in_default() == 13
    await reader.batch()
    await outbox.lab.expect_exactly_once(reader)


async def test_a_row_that_slips_into_the_default_one_only_puts_it_off(outbox: Outbox) -> None:
    """It was taken before the new partition was, and is committed while that one waits."""
    await outbox.lab.appended("a-1", 18)
    slow = await outbox.lab.writer()
    await slow.append("slow-1", 5)
    assert await outbox.maintain() == 0
    await slow.commit()
    assert await outbox.maintain() > 0
    await outbox.lab.appended("a-1")


async def test_only_what_every_checkpoint_has_seen_is_dropped(outbox: Outbox) -> None:
    ahead, behind = await outbox.lab.reader(5), await outbox.lab.reader(5)
    await outbox.checkpoint(ahead, "ahead")
    await outbox.checkpoint(behind, "behind")
    await outbox.fill(1)
    await behind.batch()
    await outbox.checkpoint(behind, "behind")
    await outbox.fill(1)
    await ahead.batch()
    await outbox.checkpoint(ahead, "ahead")
    await outbox.maintain()
    assert (await outbox.partitions())[0] == 20
    await behind.batch()
    await outbox.lab.expect_exactly_once(ahead, behind)


async def test_a_page_within_a_batch_does_not_count_as_seen(outbox: Outbox) -> None:
    reader = await outbox.lab.reader(15)
    await outbox.fill(2)
    await reader.page()
    await outbox.checkpoint(reader)
    await outbox.maintain()
    assert (await outbox.partitions())[0] == 10
    await reader.batch()
    await outbox.lab.expect_exactly_once(reader)


async def test_a_rebuild_keeps_what_its_history_will_not_show(outbox: Outbox) -> None:
    live, late = await outbox.lab.reader(), await outbox.lab.writer()
    await outbox.fill(1)
    await late.append("late-1")
    rebuild = await outbox.lab.rebuilder(4)
    await rebuild.page()
    await outbox.checkpoint(rebuild, "rebuild")
    await outbox.fill(1)
    await late.commit()
    await outbox.fill(1)
    await live.batch()
    await outbox.checkpoint(live, "live")
    await outbox.maintain()
    assert (await outbox.partitions())[0] == 20
    await rebuild.batch()
    await rebuild.batch()
    await outbox.lab.expect_exactly_once(rebuild, live)


async def test_a_rebuild_that_has_not_begun_keeps_everything(outbox: Outbox) -> None:
    await outbox.checkpoint(await outbox.lab.rebuilder(), "new")
    await outbox.fill(2)
    await outbox.maintain()
    assert (await outbox.partitions())[0] == 10


async def test_the_default_partition_is_emptied_when_all_have_seen_it(outbox: Outbox) -> None:
    reader = await outbox.lab.reader()
    await outbox.fill(4)
    await reader.batch()
    await outbox.checkpoint(reader)
    await outbox.maintain()
    assert await outbox.in_default() == 0
    await outbox.fill(1)
    await reader.batch()
    await outbox.lab.expect_exactly_once(reader)


async def test_a_long_writer_delays_pruning_and_nothing_else(outbox: Outbox) -> None:
    """While it is there nobody even asks for a lock that would stop an append."""
    lab, reader = outbox.lab, await outbox.lab.reader()
    await outbox.fill(1)
    await reader.batch()
    await outbox.checkpoint(reader)
    long = await lab.writer()
    await long.append("long-1", context=step())
    waited, maintaining = 0, asyncio.create_task(outbox.maintain())
    while not maintaining.done():
        waited += await lab.value(WAITING)
    assert (waited, await maintaining) == (0, 1)
    assert await outbox.partitions() == [10, 20, 30]
    await long.commit()
    assert await outbox.maintain() == 1
    assert await outbox.partitions() == [20, 30]


async def test_a_row_that_is_committed_just_before_the_drop_is_kept(outbox: Outbox) -> None:
    """All rows of the partition that can be seen were seen; one was not committed yet."""
    lab = outbox.lab
    reader, late = await lab.reader(), await lab.writer()
    await lab.appended("a-1", ROWS - 1)
    await late.append("late-1")
    await lab.appended("a-1", 5)
    await reader.batch()
    await outbox.checkpoint(reader)
    maintaining = asyncio.create_task(outbox.maintain())
    await lab.until("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    await late.commit()
    await maintaining
    assert (await outbox.partitions())[0] == 10
    await reader.batch()
    await lab.expect_exactly_once(reader)


async def test_no_partition_holds_nothing(lab: Lab) -> None:
    with pytest.raises(RaiseException, match="holds nothing"):
        await lab.value("SELECT maintain_partitions(0, '1 year')")


async def test_of_two_that_maintain_at_once_one_does_it(lab: Lab) -> None:
    one = await lab.writer()
    await one.connection.execute("SELECT maintain_partitions(1500000, '1 year')")
    assert await lab.value("SELECT maintain_partitions(1500000, '1 year')") == 0
