"""Every statement of the hot paths uses its index, however it is planned and however much there is.

Pages touched are counted instead of milliseconds: they say the same on every machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.feed import Cursor, read_page
from handrail.eventstore.store import ANY_VERSION
from handrail.eventstore.tables import NOTHING_SEEN
from tests.eventstore.interleaving import ALL_SHARDS, Lab, notes, step, store_over
from tests.eventstore.plans import Plans, plans_of

EVENTS, PER_TRANSACTION, LIMIT = 200_000, 5, 100
TRANSACTIONS = EVENTS // PER_TRANSACTION
EARLY = 1_000  # the position where the history of a writer who stayed open begins

FILL = f"""
CREATE TABLE oldest AS SELECT pg_current_xact_id()::text::bigint AS txid;
SET synchronous_commit = off;
DO $$ BEGIN FOR i IN 0..{TRANSACTIONS} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$;
INSERT INTO events (position, txid, stream, version, shard, type, schema, data, metadata)
OVERRIDING SYSTEM VALUE
SELECT n, ((SELECT txid FROM oldest) + n / {PER_TRANSACTION})::text::xid8, 'order-' || n % 20000,
       1 + n / 20000, n % 16, 'Noted', 1, '{{"text": "one of very many"}}', '{{}}'
FROM generate_series(1, {EVENTS}) AS n;
SELECT setval('events_position_seq', {EVENTS});
INSERT INTO outbox SELECT position, txid, shard FROM events;
INSERT INTO streams SELECT stream, max(version) FROM events GROUP BY stream;
INSERT INTO commands (opened_on, saga, attempt, step, direction, answer)
SELECT date '2026-11-23', 'checkout-' || n, 1, 'HoldCredit', 'do', '{{}}'
FROM generate_series(1, 20000) AS n;
INSERT INTO state_snapshots SELECT 'order-' || n, revision, 5, '{{}}'
FROM generate_series(0, 19999, 2) AS n, (VALUES ('one'), ('another')) AS revisions (revision);
VACUUM ANALYZE;
"""


@pytest.fixture(scope="module")
async def filled(postgres: EmbeddedPostgres, database_template: str) -> AsyncIterator[Lab]:
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE plans TEMPLATE {database_template}".encode())
        async with Lab(postgres.url_of("plans")) as lab:
            for statement in FILL.replace("$$", "\0").split(";\n"):
                await lab.sql.execute(statement.replace("\0", "$$").encode())
            long = await lab.writer()
            await long.append("long-1")
            yield lab
        await admin.execute("DROP DATABASE plans WITH (FORCE)")


@asynccontextmanager
async def _planned(lab: Lab, mode: str) -> AsyncIterator[tuple[psycopg.AsyncConnection, Plans]]:
    connection = await lab.connect(autocommit=True)
    connection.prepare_threshold = 0
    await connection.execute("LOAD 'auto_explain'")
    await connection.execute(f"SET plan_cache_mode = {mode}".encode())
    async with plans_of(connection) as plans:
        yield connection, plans
    large = await lab.rows("SELECT relname FROM pg_class WHERE reltuples > 1000 AND relkind = 'r'")
    assert not plans.scanned_whole() & {name for (name,) in large}, plans
    await connection.close()


both_ways = pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])


async def _snapshot(lab: Lab, transaction: int, *running: int) -> str:
    """What somebody saw when this many transactions had ended, but for the running ones."""
    oldest = await lab.value("SELECT txid FROM oldest")
    xip = [oldest + one for one in running]
    return f"{min([*xip, oldest + transaction])}:{oldest + transaction}:{','.join(map(str, xip))}"


async def _now(lab: Lab) -> str:
    return str(await lab.value("SELECT pg_current_snapshot()::text"))


@both_ways
@pytest.mark.parametrize("shards", [ALL_SHARDS, [3]])
async def test_an_idle_reader_reads_next_to_nothing(
    filled: Lab, mode: str, shards: list[int]
) -> None:
    async with _planned(filled, mode) as (connection, plans):
        page = await read_page(connection, Cursor(await _now(filled)), shards, LIMIT)
    assert (len(page.events), plans.buffers() < 60) == (0, True), plans.buffers()


@both_ways
async def test_the_first_page_reads_its_batch_and_no_history(filled: Lab, mode: str) -> None:
    since = await _snapshot(filled, TRANSACTIONS - 200, 10)
    async with _planned(filled, mode) as (connection, plans):
        page = await read_page(connection, Cursor(since), ALL_SHARDS, LIMIT)
    assert page.events[0].position == 10 * PER_TRANSACTION
    assert plans.buffers() < 600


@both_ways
async def test_the_first_page_of_a_long_batch_reads_no_history_either(
    filled: Lab, mode: str
) -> None:
    since = await _snapshot(filled, TRANSACTIONS * 9 // 10)
    async with _planned(filled, mode) as (connection, plans):
        page = await read_page(connection, Cursor(since), ALL_SHARDS, LIMIT)
    assert page.events[0].position == EVENTS * 9 // 10
    assert plans.buffers() < 800


@both_ways
async def test_a_later_page_of_a_long_batch_reads_a_page(filled: Lab, mode: str) -> None:
    since = await _snapshot(filled, TRANSACTIONS // 4, 10)
    cursor = Cursor(since, await _now(filled), EVENTS // 2)
    async with _planned(filled, mode) as (connection, plans):
        page = await read_page(connection, cursor, ALL_SHARDS, LIMIT)
    assert [e.position for e in page.events] == list(range(EVENTS // 2 + 1, EVENTS // 2 + 101))
    assert plans.buffers() < 600


@both_ways
async def test_a_page_never_reads_across_what_was_delivered(filled: Lab, mode: str) -> None:
    """On one side of all others lie the early events of a long writer, on the other the new."""
    since = await _snapshot(filled, TRANSACTIONS - 200, 10)
    cursor = Cursor(since, await _now(filled), 10 * PER_TRANSACTION + 4)
    async with _planned(filled, mode) as (connection, plans):
        page = await read_page(connection, cursor, ALL_SHARDS, LIMIT)
    assert page.events[0].position == EVENTS - 200 * PER_TRANSACTION
    assert plans.buffers() < 700


@both_ways
async def test_a_page_of_history_reads_a_page(filled: Lab, mode: str) -> None:
    cursor = Cursor(NOTHING_SEEN, await _now(filled), EVENTS // 2)
    async with _planned(filled, mode) as (connection, plans):
        page = await read_page(connection, cursor, ALL_SHARDS, LIMIT)
    assert len(page.events) == LIMIT
    assert plans.buffers() < 50


@both_ways
async def test_the_last_page_of_history_reads_no_more(filled: Lab, mode: str) -> None:
    cursor = Cursor(NOTHING_SEEN, await _now(filled), EVENTS - 10)
    async with _planned(filled, mode) as (connection, plans):
        page = await read_page(connection, cursor, ALL_SHARDS, LIMIT)
    assert (len(page.events), plans.buffers() < 50) == (10, True)


@both_ways
async def test_loading_streams_reads_their_events_only(filled: Lab, mode: str) -> None:
    async with _planned(filled, mode) as (connection, plans):
        loaded = await store_over(connection).load({"order-1": 0, "order-2": 0, "no-1": 0}, "one")
    assert [len(one.events) for one in loaded.values()] == [10, 5, 0]
    assert {"events_stream_version_key", "state_snapshots_pkey"} <= set(plans.indexes())
    assert plans.buffers() < 100


@both_ways
async def test_keeping_a_state_reads_those_of_its_stream_only(filled: Lab, mode: str) -> None:
    async with _planned(filled, mode) as (connection, plans):
        store = store_over(connection)
        for version in range(6, 8):
            plans.found.clear()
            await store.save_snapshot("order-2", version, mode, b"{}")
    assert "state_snapshots_pkey" in plans.indexes()
    assert plans.buffers() < 60


@both_ways
async def test_an_append_reads_its_streams_only(filled: Lab, mode: str) -> None:
    async with _planned(filled, mode) as (connection, plans):
        store = store_over(connection)
        for number in range(2):
            plans.found.clear()  # only the second time are the connection's caches full
            undo = step("A", "undo", saga=f"{mode}-{number}", closes=["B", "C"])
            await store.append(
                [("order-7", ANY_VERSION, notes(2)), ("order-8", 10, []), (mode, number, notes(1))],
                context=undo,
            )
            await store.append([], context=undo)
    assert plans.buffers() < 200
