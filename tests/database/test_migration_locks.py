"""A migration stops no writer for long: neither by what it does, nor by what it waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import psycopg
import pytest
from alembic import op
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, create_engine, make_url
from structlog.testing import capture_logs

from consumers.tables import TABLES
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.business_tables import BusinessTables
from handrail.eventstore.short_locks import TablesBusy, in_short_locks, wait_briefly
from handrail.migrations import upgrade
from handrail.testing.migration_locks import mistakes_of, revisions_after
from tests.database.logins import Logins, a_database
from tests.database.test_side_by_side import old_append, old_process

TRIES = 3
A_REVISION = """
from alembic import op

revision = "of_this_test"
down_revision = None


def upgrade():
    op.execute('''{statement}''')
"""


@pytest.fixture
async def logins(postgres: EmbeddedPostgres) -> AsyncIterator[Logins]:
    async with a_database(postgres) as one:
        await one.sql("DELETE FROM alembic_version WHERE version_num LIKE 'shop%'")
        yield one


def a_business(folder: Path, statement: str) -> BusinessTables:
    """With one revision, beside those of the library."""
    (folder / "of_this_test.py").write_text(dedent(A_REVISION.format(statement=statement)))
    return BusinessTables(revisions=folder, rights={})


async def test_writers_go_on_while_a_migration_waits_behind_a_long_reader(
    logins: Logins, tmp_path: Path
) -> None:
    own = a_business(tmp_path, "ALTER TABLE events ADD COLUMN noted text")
    appends: list[float] = []
    async with asyncio.timeout(30), old_process(logins) as writer:
        reader = await psycopg.AsyncConnection.connect(logins.owner)
        await reader.execute("SELECT 1 FROM events LIMIT 1")
        began = time.monotonic()
        with capture_logs() as said:
            migrating = asyncio.create_task(
                asyncio.to_thread(upgrade, logins.owner, "handrail_app", own=own)
            )
            while [one["event"] for one in said].count(BEGINS_AGAIN) < TRIES:
                assert not migrating.done()
                appends.append(await _timed(writer))
            held = time.monotonic() - began
            await reader.close()
            while not migrating.done():
                appends.append(await _timed(writer))
        await migrating
    assert max(appends) < held / 2, "a writer waited as long as the reader stayed"
    assert await logins.sql("SELECT count(noted), count(*) FROM events") == [(0, len(appends))]


BEGINS_AGAIN = "a table is in use: the migration begins again"


async def _timed(writer: psycopg.AsyncConnection) -> float:
    began = time.monotonic()
    await writer.execute(*old_append("a-locks"))
    return time.monotonic() - began


async def test_a_migration_that_gets_no_lock_says_what_to_end(logins: Logins) -> None:
    engine = create_engine(make_url(logins.owner).set(drivername="postgresql+psycopg"))

    def changes(connection: Connection) -> None:
        wait_briefly(connection)
        connection.exec_driver_sql("ALTER TABLE events ADD COLUMN noted text")

    async with await psycopg.AsyncConnection.connect(
        logins.owner, application_name="a report"
    ) as reader:
        await reader.execute("SELECT 1 FROM events LIMIT 1")
        with pytest.raises(TablesBusy, match=r"ADD COLUMN noted.*a report, pid \d+\): end it"):
            await asyncio.to_thread(in_short_locks, engine, changes, longest=0.0)
    engine.dispose()


BASELINES = {"0017": None, "shop_0002": TABLES}
"""The newest revisions of the release before, of the library and of the shop: from here on."""


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """Of a migrated database, in a transaction that is rolled back."""
    engine = create_engine(make_url(database).set(drivername="postgresql+psycopg"))
    with engine.connect() as one:
        yield one
    engine.dispose()


@pytest.mark.parametrize("baseline", BASELINES)
def test_no_revision_since_the_release_before_stops_writers(
    connection: Connection, baseline: str
) -> None:
    revisions = revisions_after(baseline, BASELINES[baseline])
    for _, module in reversed(revisions):
        with Operations.context(MigrationContext.configure(connection)):
            module.downgrade()
    connection.commit()
    found = []
    for name, module in revisions:
        found += mistakes_of(connection, name, module)
        connection.commit()
    assert found == []


WRONG = {
    "ALTER TABLE events ADD COLUMN noted timestamptz DEFAULT clock_timestamp()": "writes events",
    "ALTER TABLE events ALTER COLUMN version TYPE numeric": "writes events",
    "CREATE INDEX noted ON events (type)": "holds ShareLock on events",
    "ALTER TABLE events ADD CONSTRAINT noted CHECK (version > 0)": "reads every row of events",
    "ALTER TABLE requests ALTER COLUMN status SET NOT NULL": "reads every row of requests",
    "ALTER TABLE requests DROP COLUMN body": "takes something of requests away",
    "ALTER TABLE requests RENAME COLUMN body TO content": "takes something of requests away",
    "DROP TABLE snapshots": "takes something of snapshots away",
    "LOCK TABLE events IN EXCLUSIVE MODE": "holds ExclusiveLock on events",
}
RIGHT = (
    "CREATE TABLE noted (id text PRIMARY KEY); CREATE INDEX ON noted (id)",
    "ALTER TABLE events ADD COLUMN noted text",
    "ALTER TABLE events ADD COLUMN noted text DEFAULT 'nothing' NOT NULL",
    "ALTER TABLE events ADD CONSTRAINT noted CHECK (version > 0) NOT VALID",
    "ALTER TABLE requests ALTER COLUMN fingerprint DROP NOT NULL",
)


class _Revision(ModuleType):
    def __init__(self, statement: str) -> None:
        super().__init__("of_this_test")
        self.upgrade = lambda: op.execute(statement)


@pytest.mark.parametrize("statement", WRONG)
def test_a_revision_that_stops_writers_or_breaks_the_release_before_is_named(
    connection: Connection, statement: str
) -> None:
    [said, *_] = mistakes_of(connection, "0099_wrong", _Revision(statement))
    assert said.startswith(f"0099_wrong: {WRONG[statement]}")


@pytest.mark.parametrize("statement", RIGHT)
def test_a_revision_that_may_run_beside_processes_is_not(
    connection: Connection, statement: str
) -> None:
    assert mistakes_of(connection, "0099_right", _Revision(statement)) == []


def test_what_goes_in_a_later_release_says_so_in_its_name(connection: Connection) -> None:
    revision = _Revision("DROP TABLE snapshots")
    assert mistakes_of(connection, "0099_contract_snapshots", revision) == []
