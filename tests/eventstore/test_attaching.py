"""An append goes on, whichever partition is attached under it."""

from __future__ import annotations

import asyncio

import pytest

from handrail.eventstore.store import ANY_VERSION
from tests.eventstore.interleaving import DEADLINE, Lab, notes, store_over

ROWS = 10
MAINTAIN = f"SELECT maintain_partitions({ROWS}, '1 year')"


@pytest.fixture
async def lab(own_lab: Lab) -> Lab:
    """Somebody has read nothing yet of an event in each partition: so none is dropped."""
    await own_lab.sql.execute(
        "INSERT INTO checkpoints (projection, shard, since) VALUES ('keeps everything', 0, '1:1:')"
    )
    for position in (1, 1_000_001):
        await _at(own_lab, position)
        await own_lab.appended("a-0")
    return own_lab


async def _end(lab: Lab) -> int:
    """Where the partitions of the outbox end."""
    return int(
        await lab.value(
            "SELECT max(substr(relname, 11)::bigint) FROM pg_class"
            " WHERE relname ~ '^outbox_to_\\d+$'"
        )
    )


async def _at(lab: Lab, position: int) -> None:
    """Let the next event have this position."""
    await lab.value("SELECT setval('events_position_seq', %s, false)", position)


async def test_an_append_beyond_all_partitions_goes_on_while_one_is_attached_there(
    lab: Lab,
) -> None:
    """Nobody made partitions for long: the next one begins where appends are."""
    await _at(lab, await _end(lab) + 5)
    await lab.appended("a-1")
    maintaining, appending = await lab.writers(2)
    await maintaining.connection.execute(MAINTAIN)

    await lab.waits_until(appending, appending.append("b-1"), maintaining.commit)

    await appending.commit()
    assert await lab.value("SELECT count(*) FROM outbox_default") == 1


async def test_partitions_that_are_ahead_of_all_appends_are_attached_beside_them(lab: Lab) -> None:
    end = await _end(lab)
    await _at(lab, end - ROWS)
    appending, maintaining = await lab.writers(2)
    await appending.append("a-1")
    await maintaining.connection.execute(MAINTAIN)
    await appending.append("b-1")
    await maintaining.commit()
    assert await _end(lab) > end


async def test_an_append_that_jumps_into_a_partition_that_is_being_attached_goes_on(
    lab: Lab,
) -> None:
    end = await _end(lab)
    await _at(lab, end - ROWS)
    [maintaining] = await lab.writers(1)
    await maintaining.connection.execute(MAINTAIN)
    await _at(lab, end)
    connection = await lab.connect(autocommit=True)
    appending = asyncio.create_task(store_over(connection).append([("a-1", ANY_VERSION, notes(1))]))
    await lab.until_it_waits(connection.info.backend_pid)

    await maintaining.commit()

    async with asyncio.timeout(DEADLINE):
        assert (await appending).status == "appended"
    assert (
        await lab.value(
            "SELECT tableoid::regclass::text FROM outbox ORDER BY position DESC LIMIT 1"
        )
        == f"outbox_to_{end + ROWS}"
    )


async def test_the_first_step_of_a_month_goes_on_while_its_partition_is_attached(lab: Lab) -> None:
    month = await lab.value("SELECT to_char(current_date, '\"commands_\"YYYY_MM')")
    await lab.sql.execute(f"DROP TABLE {month}".encode())
    maintaining, appending = await lab.writers(2)
    await maintaining.connection.execute(MAINTAIN)
    today = await lab.value("SELECT current_date")

    step = appending.connection.execute(
        "INSERT INTO commands (opened_on, saga, attempt, step, direction, answer)"
        " VALUES (%s, 's', 1, 'A', 'do', '{}')",
        [today],
    )
    await lab.waits_until(appending, step, maintaining.commit)

    await appending.commit()
    assert await lab.value("SELECT tableoid::regclass::text FROM commands") == month


async def test_no_append_fails_while_partitions_come_and_go_under_it(lab: Lab) -> None:
    """Positions jump over what is attached, into it and beyond it; what is seen is dropped."""
    await lab.sql.execute("DELETE FROM checkpoints")
    await _at(lab, await _end(lab) - 1)
    stores = [await lab.store() for _ in range(4)]
    connection = await lab.connect(autocommit=True)

    async def write(number: int) -> None:
        for turn in range(40):
            await stores[number].append([(f"a-{number}", ANY_VERSION, notes(1 + turn % 7))])

    async def maintain(done: asyncio.Event) -> None:
        while not done.is_set():
            await connection.execute(MAINTAIN)
            await connection.execute(
                "SELECT setval('events_position_seq', last_value + 7) FROM events_position_seq"
            )

    done = asyncio.Event()
    maintaining = asyncio.create_task(maintain(done))
    await asyncio.gather(*map(write, range(4)))
    done.set()
    await maintaining
    assert (await lab.counts())["events"] == 2 + 4 * sum(1 + turn % 7 for turn in range(40))
