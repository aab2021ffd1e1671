"""Nobody changes an event, and the application can do no more than it must."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from handrail.eventstore.store import ANY_VERSION
from tests.eventstore.interleaving import ALL_SHARDS, Lab, Reader, notes, step, store_over

CHANGES = [
    "UPDATE events SET data = '{}'",
    "UPDATE events SET recorded_at = now() WHERE false",
    "DELETE FROM events",
    "TRUNCATE events",
    "MERGE INTO events e USING streams s ON e.stream = s.name WHEN MATCHED THEN DELETE",
    (
        "INSERT INTO events OVERRIDING SYSTEM VALUE SELECT * FROM events"
        " ON CONFLICT (position) DO UPDATE SET data = '{}'"
    ),
]
STRUCTURE = [
    "DROP TABLE events",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "ALTER TABLE events ADD COLUMN extra int",
    "DROP TRIGGER events_are_immutable ON events",
    "CREATE OR REPLACE FUNCTION forbid_change() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "SET session_replication_role = replica",
    "ALTER SEQUENCE events_position_seq RESTART",
    "SELECT setval('events_position_seq', 1)",
    "SELECT nextval('events_position_seq')",
    "CREATE TABLE mine (id int)",
    "DELETE FROM outbox",
    "TRUNCATE outbox",
    "UPDATE outbox SET txid = '1'",
    "UPDATE commands SET answer = '{}'",
    "DELETE FROM commands",
    "UPDATE streams SET version = 0",
    "DELETE FROM streams",
]


@pytest.fixture
async def application(lab: Lab) -> psycopg.AsyncConnection:
    """A connection as the application has it."""
    await lab.appended("a-1")
    connection = await lab.connect(autocommit=True)
    await connection.execute("SET ROLE handrail_app")
    return connection


@pytest.mark.parametrize("change", CHANGES)
async def test_the_owner_cannot_change_an_event(lab: Lab, change: str) -> None:
    await lab.appended("a-1")
    with pytest.raises(errors.RaiseException, match="is forbidden"):
        await lab.sql.execute(change.encode())


@pytest.mark.parametrize("change", [*CHANGES, *STRUCTURE])
async def test_the_application_may_not_even_try(
    application: psycopg.AsyncConnection, change: str
) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        await application.execute(change.encode())


async def test_the_application_appends_loads_and_follows(
    application: psycopg.AsyncConnection,
) -> None:
    store = store_over(application)
    await store.append([("b-1", ANY_VERSION, notes(2))], context=step("A", "undo", closes=["B"]))
    await store.save_snapshot("b-1", 1, "one", b"{}")
    reader = Reader(application)
    assert await reader.batch() == ["a-1@1", "b-1@1", "b-1@2"]
    await store.append([("b-1", 2, notes(1))])
    assert await reader.batch() == ["b-1@3"]
    assert (await store.load({"b-1": 0}, "one"))["b-1"].version == 3
    assert reader.shards == ALL_SHARDS


async def test_the_application_maintains_the_partitions(
    application: psycopg.AsyncConnection,
) -> None:
    row = await application.execute("SELECT maintain_partitions(1500000, '1 year')")
    assert await row.fetchone() == (1,)


async def test_nobody_else_maintains_the_partitions(lab: Lab) -> None:
    await lab.sql.execute("CREATE ROLE nobody_in_particular")
    try:
        await lab.sql.execute("SET ROLE nobody_in_particular")
        with pytest.raises(errors.InsufficientPrivilege):
            await lab.sql.execute("SELECT maintain_partitions(1, '1 year')")
    finally:
        await lab.sql.execute("RESET ROLE; DROP ROLE nobody_in_particular")
