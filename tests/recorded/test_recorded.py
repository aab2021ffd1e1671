"""What was stored and promised before is still read, built, replayed and offered.

`python -m tests.recorded.record` made the recordings, from a run of the shop with faults.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.recorded import histories, rows, surface
from tests.recorded.product import CODEC, PROJECTIONS, ROLE, Runner, open_pool, rebuild, replayer
from tests.recorded.rows import READ_MODELS, STORE, TABLES, Row

SAVED: Final = histories.saved()
TOTALS: Final = frozenset(one.totals.name for one in PROJECTIONS if one.adds)


def recorded(folder: Path, table: str) -> str:
    return rows.read(folder / f"{table}{rows.SUFFIX}")


def json_of(text: str) -> Any:
    found = rows.value(text)
    return None if found is None else json.loads(found)


def test_every_recorded_event_decodes_and_encodes_to_what_is_stored() -> None:
    """Encoded again, so that a field which lost its name, and is passed over, is missed."""
    for row in rows.rows_in(recorded(STORE, "events")):
        stored = json_of(row["data"])
        event = CODEC.decode(row["type"], int(row["schema"]), json_of(row["data"]))
        encoded = CODEC.encode(event)
        assert encoded.type == row["type"], row["position"]
        if encoded.schema == int(row["schema"]):
            again = json.loads(encoded.data)
            assert {name: again.get(name) for name in stored} == stored, (
                f"{row['type']} at position {row['position']}"
            )


@pytest.fixture
async def rebuilt(database_with_read_models: str) -> AsyncIterator[psycopg.Connection]:
    """The recorded store in a new database, with all read models built from it."""
    url = database_with_read_models
    with psycopg.connect(url, autocommit=True) as connection:
        for table in TABLES:
            rows.load(connection, table, recorded(STORE, table))
        connection.execute("SELECT adopt_store('rows of another server were loaded', 'a test')")
        async with open_pool(url, role=ROLE, size=4) as pool:
            stop = asyncio.Event()
            running = asyncio.create_task(Runner(pool, PROJECTIONS, CODEC, poll=0.01).run(stop))
            try:
                async with asyncio.timeout(30):
                    await rebuild(url, ROLE, [one.name for one in PROJECTIONS], PROJECTIONS)
            finally:
                stop.set()
                await running
        yield connection


async def test_a_rebuild_from_the_recorded_store_gives_the_recorded_rows(
    rebuilt: psycopg.Connection,
) -> None:
    differences = []
    for path in sorted(READ_MODELS.glob(f"*{rows.SUFFIX}")):
        table = path.name.removesuffix(rows.SUFFIX)
        content = rows.read(path)
        columns = content.split("\n", 1)[0].split("\t")
        if missing := set(columns) - set(rows.columns_of(rebuilt, table)):
            differences.append(f"{table}: there is no column {', '.join(sorted(missing))}")
            continue
        key = rows.key_of(rebuilt, table)
        found = rows.dumped(rebuilt, table, columns, key)
        if table in TOTALS:
            content, found = without_zeros(content), without_zeros(found)
        differences += [f"{table} {said}" for said in first_difference(content, found, key)]
    assert not differences, "\n".join(differences)


def first_difference(wanted: str, found: str, key: Sequence[str]) -> Iterator[str]:
    """Of two tables, the row, the column and both values; nothing where they are equal."""
    before, after = _by_key(wanted, key), _by_key(found, key)
    for id_, row in before.items():
        name = " ".join(id_)
        if (other := after.get(id_)) is None:
            yield f"{name} is missing"
            return
        for column, value in row.items():
            if other[column] != value:
                yield f"{name}: {column} was recorded as {value}, and is {other[column]}"
                return
    for id_ in sorted(after.keys() - before.keys()):
        yield f"{' '.join(id_)} was not recorded"
        return


def _by_key(content: str, key: Sequence[str]) -> Mapping[tuple[str, ...], Row]:
    return {tuple(row[column] for column in key): row for row in rows.rows_in(content)}


def without_zeros(content: str) -> str:
    """Of totals: a rebuild reads longer pages, and never writes what cancels out within one."""
    header, *lines = content.splitlines(keepends=True)
    return header + "".join(line for line in lines if not line.endswith("\t0\n"))


def test_the_first_row_that_differs_is_named_with_its_column_and_both_values() -> None:
    """So the test above says what it has found."""
    wanted = "id\tstatus\na\topen\nb\topen\n"
    assert list(first_difference(wanted, wanted, ["id"])) == []
    assert list(first_difference(wanted, wanted.replace("b\topen", "b\tover"), ["id"])) == [
        "b: status was recorded as open, and is over"
    ]
    assert list(first_difference(wanted, "id\tstatus\na\topen\n", ["id"])) == ["b is missing"]
    assert list(first_difference(wanted, wanted + "c\topen\n", ["id"])) == ["c was not recorded"]


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.name.removesuffix(histories.SUFFIX))
async def test_a_recorded_history_replays(path: Path) -> None:
    await replayer().replay_workflow(histories.history_of(histories.document_in(path)))


@pytest.mark.thorough
async def test_the_surface_has_lost_no_line(database_with_read_models: str) -> None:
    now = await surface.lines(database_with_read_models)
    lost = [one for one in surface.SAVED.read_text().splitlines() if one not in set(now)]
    assert not lost, "others rely on what disappeared:\n" + "\n".join(lost)
