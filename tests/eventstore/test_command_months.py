"""The fence keeps its keys by months, and forgets a month when no attempt can return."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.eventstore.interleaving import Lab, notes, step


@pytest.fixture
def lab(own_lab: Lab) -> Lab:
    return own_lab


async def test_a_month_of_commands_goes_when_no_attempt_can_return(lab: Lab) -> None:
    await lab.sql.execute(
        "SELECT attach_partition('commands', to_char(m, '\"commands_\"YYYY_MM'), m::text,"
        " (m + interval '1 month')::date::text) FROM (SELECT (date_trunc('month', current_date)"
        " - n * interval '1 month')::date AS m FROM generate_series(1, 4) n) AS months"
    )
    before = await _months(lab)
    await lab.value("SELECT maintain_partitions(1000000, '2 months')")
    assert len(before) == 6
    assert await _months(lab) == before[2:]


async def test_this_month_and_the_next_have_their_partitions(lab: Lab) -> None:
    assert await _months(lab) == [
        name
        for (name,) in await lab.rows(
            "SELECT to_char(current_date + n * interval '1 month', '\"commands_\"YYYY_MM')"
            " FROM (VALUES (0), (1)) AS m (n) ORDER BY n"
        )
    ]


async def test_old_commands_outside_any_month_go_too(lab: Lab) -> None:
    await lab.sql.execute(
        "INSERT INTO commands (opened_on, saga, attempt, step, direction, answer)"
        " SELECT current_date - n, 's', 1, 'A', 'do', '{}' FROM (VALUES (200), (400)) AS m (n)"
    )
    await lab.value("SELECT maintain_partitions(1000000, '1 year')")
    assert await lab.value("SELECT min(current_date - opened_on) FROM commands") == 200


async def test_a_month_that_began_in_the_default_partition_stays_there(lab: Lab) -> None:
    """A step that is asked again finds its answer, wherever its month is."""
    months = await _months(lab)
    await lab.sql.execute(f"DROP TABLE {months[0]}".encode())
    store, today = await lab.store(), await lab.value("SELECT current_date")
    context = replace(step(), key=replace(step().key, opened_on=today))
    await store.append([("a-1", 0, notes(1))], context=context)
    assert await lab.value("SELECT maintain_partitions(1000000, '1 year')") == 0
    assert (await store.append([("a-1", 0, notes(1))], context=context)).status == "repeated"


async def _months(lab: Lab) -> list[str]:
    found = await lab.rows(
        "SELECT relname FROM pg_class WHERE relname ~ '^commands_\\d{4}_\\d{2}$' ORDER BY 1"
    )
    return [name for (name,) in found]
