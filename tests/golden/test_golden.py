"""What each release really wrote is read, folded and replayed by this code as it was then.

`make golden` adds the file of a release.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import psycopg
import pytest

from domain.credit.events import CreditReleased
from runtime.app import HANDRAIL
from tests.golden.changed import CHANGED, is_changed_since
from tests.golden.folding import AGGREGATES, states_of
from tests.golden.releases import changelog, is_out, this_release
from tests.golden.store import (
    SUFFIX,
    Golden,
    copied,
    digest_of,
    digests,
    of_the_split,
    read,
    saved,
    values_in,
    written,
)
from tests.recorded import histories, rows
from tests.recorded.product import CODEC, PROJECTIONS, ROLE, Runner, open_pool, rebuild, replayer
from tests.recorded.test_recorded import TOTALS

RELEASES: Final = {one.name.removesuffix(SUFFIX): read(one) for one in saved()}
FOLDED: Final = {"split": of_the_split(), **RELEASES}
HISTORIES: Final = [(release, name) for release, one in RELEASES.items() for name in one.histories]

of_each_release = pytest.mark.parametrize("release", RELEASES)


@of_each_release
def test_every_event_of_a_release_decodes_and_encodes_to_what_is_stored(release: str) -> None:
    """Encoded again, so that a field which lost its name, and is passed over, is missed."""
    for row in RELEASES[release].events:
        stored = json.loads(str(row["data"]))
        event = CODEC.decode(str(row["type"]), int(str(row["schema"])), {**stored})
        encoded = CODEC.encode(event)
        if (encoded.type, encoded.schema) == (row["type"], int(str(row["schema"]))):
            again = json.loads(encoded.data)
            assert {name: again.get(name) for name in stored} == stored, row["position"]


@pytest.mark.parametrize("release", FOLDED)
def test_the_streams_of_a_release_fold_to_the_states_that_they_had(release: str) -> None:
    golden = FOLDED[release]
    assert golden.states, "no states were recorded"
    now = states_of(golden)
    assert list(now) == list(golden.states)
    differences = {
        (stream, field): (value, now[stream].get(field))
        for stream, state in golden.states.items()
        for field, value in state.items()
        if not is_changed_since(release, (stream.partition("-")[0], field))
        and now[stream].get(field) != value
    }
    assert not differences


def test_a_fold_that_changed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above finds what it is for."""
    initial, evolve = AGGREGATES["credit"]

    def forgets(line: Any, event: Any) -> Any:
        return line if isinstance(event, CreditReleased) else evolve(line, event)

    monkeypatch.setitem(AGGREGATES, "credit", (initial, forgets))
    golden = FOLDED["split"]
    now = states_of(golden)
    assert {one.partition("-")[0] for one in now if now[one] != golden.states[one]} == {"credit"}


@pytest.fixture
async def loaded(database_with_read_models: str, release: str) -> AsyncIterator[psycopg.Connection]:
    """The store of a release in a new database, with all read models built from it."""
    url = database_with_read_models
    with psycopg.connect(url, autocommit=True) as connection:
        for table, found in RELEASES[release].tables.items():
            rows.load(connection, table, copied(found))
        connection.execute("SELECT adopt_store('rows of another server were loaded', 'a test')")
        async with open_pool(url, role=ROLE, size=4) as pool:
            stop = asyncio.Event()
            running = asyncio.create_task(Runner(pool, PROJECTIONS, CODEC, poll=0.01).run(stop))
            try:
                async with asyncio.timeout(60):
                    await rebuild(url, ROLE, [one.name for one in PROJECTIONS], PROJECTIONS)
            finally:
                stop.set()
                await running
        yield connection


@of_each_release
async def test_a_rebuild_from_the_store_of_a_release_gives_the_rows_that_it_had(
    loaded: psycopg.Connection, release: str
) -> None:
    differences = []
    for table, recorded in RELEASES[release].models.items():
        key = rows.key_of(loaded, table)
        dumped = rows.dumped(loaded, table, rows.columns_of(loaded, table), key)
        now = {tuple(row[one] for one in key): row for row in _shown(table, values_in(dumped))}
        then = {tuple(row[one] for one in key): row for row in _shown(table, recorded)}
        differences += [f"{table} {id_} is there on one side" for id_ in now.keys() ^ then.keys()]
        differences += [
            f"{table} {id_}: {column} was {value}, and is {now[id_].get(column)}"
            for id_, row in then.items()
            for column, value in row.items()
            if id_ in now
            and now[id_].get(column) != value
            and not is_changed_since(release, (table, column))
        ]
    assert not differences, "\n".join(differences[:20])


def _shown(table: str, found: list[Mapping[str, str | None]]) -> list[Mapping[str, str | None]]:
    """Of totals: a rebuild reads longer pages, and never writes what cancels out within one."""
    return [row for row in found if table not in TOTALS or row["total"] != "0"]


@pytest.mark.parametrize(("release", "name"), HISTORIES, ids=lambda one: one)
async def test_a_history_of_a_release_replays(release: str, name: str) -> None:
    document = RELEASES[release].histories[name]
    await replayer().replay_workflow(histories.history_of(document))


def test_the_file_of_a_release_never_changes() -> None:
    """An earlier one that is written again says nothing any more of what was really stored."""
    assert {one.name.removesuffix(SUFFIX): digest_of(one) for one in saved()} == digests()


def test_every_release_has_a_file_and_every_file_a_release() -> None:
    known = changelog()
    assert this_release() in known, "the version in pyproject.toml has a heading in CHANGELOG.md"
    out = {release for release in known if is_out(release)}
    assert out <= RELEASES.keys() <= known.keys(), "`make golden` writes the file of a release"


def test_the_file_of_a_release_that_is_out_has_every_event_of_its_code() -> None:
    """Before it is out, events are added that the file has not yet; `make golden` says which."""
    release = this_release()
    if is_out(release):
        lacking = {one.__name__ for one in HANDRAIL.events} - types_of(RELEASES[release])
        assert lacking == set()


def test_the_newest_file_has_all_kinds_of_things() -> None:
    newest = list(RELEASES.values())[-1]
    assert len(types_of(newest)) > 90
    earlier_keys = {one.earlier_keys for one in HANDRAIL.projections if one.begins is not None}
    tables = {table for one in HANDRAIL.projections for table in one.tables}
    assert set(newest.models) >= {table.name for table in tables - earlier_keys}
    assert {stream.partition("-")[0] for stream in newest.states} == set(AGGREGATES)


def types_of(golden: Golden) -> set[str]:
    return {str(row["type"]) for row in golden.events}


def test_what_was_changed_on_purpose_is_of_a_release_to_come_or_this_one() -> None:
    assert {one.since for one in CHANGED.values()} <= changelog().keys()


def test_a_file_is_read_as_it_was_written() -> None:
    golden = Golden(
        "1.0",
        {"release": "1.0"},
        {"events": [{"data": '{"text": "a\\\\tb\\n\\u00e4"}', "nothing": None}]},
        {"rows": [{"id": "a\tb\\"}]},
        {"order-1": {"status": "placed"}},
        {"Checkout": {"workflow": "o1"}},
    )
    assert written(golden) == written(golden)
    assert values_in(copied(golden.models["rows"])) == golden.models["rows"]
    assert values_in(copied(golden.events)) == golden.events
