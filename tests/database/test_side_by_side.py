"""A database of before the logins is migrated while its processes run, and they go on beside new
ones: what they say to the database is what that code said.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from structlog.testing import capture_logs

from handrail.connections import store_pool
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from handrail.migrate import migrate
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.database.logins import Logins, a_database
from tests.eventstore.interleaving import CODEC, notes, step
from tests.projections.world import until

RIGHTS_OF_BEFORE = """
ALTER FUNCTION append_events(jsonb, jsonb, jsonb, jsonb) OWNER TO postgres;
ALTER FUNCTION append_events(jsonb, jsonb, jsonb, jsonb) SECURITY INVOKER;
ALTER FUNCTION append_events(jsonb, jsonb, jsonb, jsonb) RESET search_path;
GRANT INSERT ON events, outbox TO handrail_app;
GRANT INSERT, UPDATE ON streams, commands, long_attempts TO handrail_app;
"""
TURNED_BACK = f"""{RIGHTS_OF_BEFORE}
DROP FUNCTION maintain_partitions(), prune_tables();
DROP VIEW notification_channels;
DROP TABLE api_key_uses, api_keys;
DROP TABLE event_levels, process_versions, form_readers, state_snapshots, newer_code_waits,
    newer_code_decisions, retry_requests, moments, dead_message_acts,
    rebuild_requests, webhook_endpoints, webhook_deliveries, kept_totals;
DROP FUNCTION keep_moment();
ALTER TABLE notifications DROP COLUMN traceparent;
ALTER TABLE store_epochs DROP COLUMN database_oid;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC;
REVOKE EXECUTE ON FUNCTION maintain_partitions, adopt_timeline, adopt_store FROM PUBLIC;
DROP OWNED BY handrail_store, handrail_api, handrail_worker, handrail_projector, handrail_relay,
    handrail_notifier, handrail_lake, handrail_dispatcher, handrail_operator,
    handrail_consumer_finance,
    handrail_consumer_logistics, handrail_consumer_notifications;
UPDATE alembic_version SET version_num = '0013' WHERE version_num ~ '^0';
"""
"""What the commit before the logins made of the database."""

MAINTAINED = (
    "SELECT maintain_partitions(1000000, interval '1 year')",
    *(
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table}"
        f" WHERE {column} < statement_timestamp() - interval '7 days' LIMIT 10000))"
        for table, column in (
            ("requests", "created_at"),
            ("saga_places", "taken_at"),
            ("webhooks", "received_at"),
            ("row_snapshots", "taken_at"),
        )
    ),
)
"""The timer of that commit's projector."""


@pytest.fixture
async def before(postgres: EmbeddedPostgres) -> AsyncIterator[Logins]:
    async with a_database(postgres) as logins:
        await logins.sql(TURNED_BACK)
        yield logins


@asynccontextmanager
async def old_process(logins: Logins) -> AsyncIterator[psycopg.AsyncConnection]:
    """Its login is the owner's, and it has switched to the one role that there was."""
    async with await psycopg.AsyncConnection.connect(logins.owner, autocommit=True) as connection:
        await connection.execute("SET ROLE handrail_app")
        yield connection


def old_append(stream: str) -> tuple[str, list[str | None]]:
    event = '[{"of": 0, "nth": 1, "type": "Noted", "schema": 1, "data": {"text": "old"}}]'
    streams = f'[{{"name": "{stream}", "shard": 3, "expected": null, "added": 1}}]'
    return (
        "SELECT append_events(" + ", ".join(["%b::text::jsonb"] * 4) + ")",
        [streams, event, "{}", None],
    )


async def test_old_processes_append_while_the_database_is_migrated_and_after(
    before: Logins,
) -> None:
    async with old_process(before) as old:
        migrating = asyncio.create_task(
            asyncio.to_thread(migrate, before.owner, "handrail_app", app=HANDRAIL)
        )
        appended = 0
        while not migrating.done():
            await old.execute(*old_append("a-old"))
            appended += 1
        await migrating
        for _ in range(5):
            await old.execute(*old_append("a-old"))
            appended += 1

        for statement in MAINTAINED:
            await old.execute(statement.encode())

    found = await before.sql("SELECT count(*), max(version) FROM events WHERE stream = 'a-old'")
    assert found == [(appended, appended)]


async def test_an_append_that_the_migration_finds_under_way_keeps_the_rights_it_began_with(
    postgres: EmbeddedPostgres,
) -> None:
    async with (
        a_database(postgres) as logins,
        old_process(logins) as old,
        await psycopg.AsyncConnection.connect(logins.owner) as other,
        await psycopg.AsyncConnection.connect(logins.owner, autocommit=True) as watching,
    ):
        # An index that is built in use waits for the append before any right is withdrawn.
        await logins.sql(RIGHTS_OF_BEFORE)
        await old.execute(*old_append("a-held"))
        await other.execute("SELECT FROM streams WHERE name = 'a-held' FOR UPDATE")
        under_way = asyncio.create_task(old.execute(*old_append("a-held")))
        await becomes_true(watching, WAITS_FOR_A_ROW, old.info.backend_pid)
        migrating = asyncio.create_task(
            asyncio.to_thread(migrate, logins.owner, "handrail_app", app=HANDRAIL)
        )
        await becomes_true(watching, WAITS_FOR_TRANSACTIONS)
        assert await one_of(watching, MAY_WRITE)
        await other.rollback()
        await under_way
        await migrating

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await old.execute("INSERT INTO streams (name, version) VALUES ('a-new', 1)")
        assert await logins.sql("SELECT version FROM streams WHERE name = 'a-held'") == [(2,)]


WAITS_FOR_A_ROW = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
MAY_WRITE = "SELECT has_table_privilege('handrail_app', 'events', 'INSERT')"
WAITS_FOR_TRANSACTIONS = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND query LIKE '%virtualxid%')
"""
"""The text has the word itself: one connection asks it, whose own statements do not count."""


async def one_of(connection: psycopg.AsyncConnection, query: str, *values: object) -> bool:
    found = await (await connection.execute(query.encode(), values or None)).fetchone()
    return found == (True,)


async def becomes_true(connection: psycopg.AsyncConnection, query: str, *values: object) -> None:
    await until(lambda: one_of(connection, query, *values), seconds=60)


async def test_old_and_new_processes_share_streams_and_the_fence(before: Logins) -> None:
    await asyncio.to_thread(migrate, before.owner, "handrail_app", app=HANDRAIL)

    async with (
        open_pool(before.owner, role="handrail_app", size=1) as switched,
        open_pool(before.url("worker"), role="handrail_app", size=1) as own,
    ):
        old, new = EventStore(switched, CODEC), EventStore(own, CODEC)
        first = await old.append([("b-1", ANY_VERSION, notes(1))], context=step("A"))
        again = await new.append([("b-1", ANY_VERSION, notes(1))], context=step("A"))
        await new.append([("b-1", 1, notes(1))], context=step("B"))
        await old.append([("b-1", 2, notes(1))])

    assert (again.status, again.token) == ("repeated", first.token)
    assert await before.sql("SELECT version FROM streams WHERE name = 'b-1'") == [(3,)]


@pytest.mark.parametrize(
    ("login", "is_then"), [("owner", "handrail_app"), ("worker", "handrail_worker")]
)
async def test_an_owner_switches_its_role_and_a_login_of_a_process_stays_what_it_is(
    before: Logins, login: str, is_then: str
) -> None:
    await asyncio.to_thread(migrate, before.owner, "handrail_app", app=HANDRAIL)
    url = before.owner if login == "owner" else before.url(login)
    async with open_pool(url, role="handrail_app", size=1) as pool, pool.connection() as one:
        assert await (await one.execute("SELECT current_user")).fetchone() == (is_then,)


@pytest.mark.thorough
async def test_a_role_that_there_is_not_stops_every_connection(before: Logins) -> None:
    async with open_pool(before.owner, role="no_such_role", size=1) as pool:
        with pytest.raises(psycopg.OperationalError):
            async with pool.connection(timeout=2):
                pass


@pytest.mark.quick(1)
@pytest.mark.parametrize(("login", "warnings"), [("owner", 1), ("worker", 0)])
async def test_a_process_with_the_owners_login_says_so_when_it_starts(
    before: Logins, login: str, warnings: int
) -> None:
    await asyncio.to_thread(migrate, before.owner, "handrail_app", app=HANDRAIL)
    settings = ShopSettings(database_url=before.owner if login == "owner" else before.url(login))
    with capture_logs() as said:
        async with store_pool(settings, size=1, name="tests"):
            pass
    assert len([one for one in said if "may become the owner" in one["event"]]) == warnings
