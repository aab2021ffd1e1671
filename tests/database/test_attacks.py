"""What somebody tries who has the URL of a process: none of it is allowed to any of the logins."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors, sql

from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from tests.database.logins import LOGINS, ROLES, Logins
from tests.eventstore.interleaving import CODEC, notes, step

DENIED = (errors.InsufficientPrivilege, errors.UndefinedFunction)
BECOMING_MORE = [
    *(f"SET ROLE {name}" for name in ("postgres", "handrail_app", "handrail_store")),
    "SET SESSION AUTHORIZATION postgres",
    "GRANT handrail_store TO {me}",
    "GRANT pg_read_server_files TO {me}",
    "ALTER ROLE {me} SUPERUSER",
    "ALTER ROLE {me} BYPASSRLS",
    "ALTER ROLE postgres PASSWORD 'mine'",
    "CREATE ROLE mine",
    "SELECT rolpassword FROM pg_authid",
    "ALTER SYSTEM SET log_connections = on",
    "SELECT pg_reload_conf()",
]
OUT_OF_THE_DATABASE = [
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "COPY (SELECT 1) TO '/tmp/stolen'",
    "CREATE TEMP TABLE it (line text); COPY it FROM PROGRAM 'id'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('postgresql.conf')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "CREATE EXTENSION dblink",
    "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc.so.6', 'getpid'",
]
HISTORY = [
    """
    INSERT INTO events (stream, version, shard, type, schema, data, metadata)
    VALUES ('a-1', 9, 0, 'Noted', 1, '{}', '{}')
    """,
    "UPDATE events SET metadata = '{}'",
    "DELETE FROM events",
    "TRUNCATE events",
    "MERGE INTO events e USING streams s ON e.stream = s.name WHEN MATCHED THEN DELETE",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER events_are_immutable ON events",
    "SET session_replication_role = replica",
    "SELECT nextval('events_position_seq')",
    "INSERT INTO outbox VALUES (1, '3', 0)",
    "UPDATE outbox SET txid = '1'",
    "DELETE FROM outbox",
    "DELETE FROM outbox_default",
    "INSERT INTO streams VALUES ('a-9', 1)",
    "UPDATE streams SET version = 0",
    "DELETE FROM streams",
    "UPDATE store_epochs SET renumbered = true",
    "INSERT INTO store_epochs SELECT * FROM store_epochs",
]
FENCE = [
    """
    INSERT INTO commands (opened_on, saga, attempt, step, direction, answer)
    VALUES ('2026-11-23', 's', 1, 'x', 'do', '{}')
    """,
    'UPDATE commands SET answer = \'{"status": "held"}\'',
    "UPDATE commands SET closed = false",
    "DELETE FROM commands",
    "TRUNCATE commands",
    "DELETE FROM commands_default",
    "UPDATE commands_default SET answer = '{}'",
    "DELETE FROM long_attempts",
    "INSERT INTO fence_walks VALUES ('commands_default', NULL, NULL, NULL, true)",
]
FUNCTIONS = [
    "SELECT maintain_partitions(1, '1 month')",
    "SELECT walk_commands('commands_default', current_date, '1 month', 1)",
    "SELECT drop_month('commands_2026_01')",
    "SELECT attach_partition('outbox', 'mine', '1', '2')",
    "SELECT renumber_feed()",
    "SELECT adopt_store('because', 'me')",
    "SELECT begin_epoch('because', 'me', 0)",
    "ALTER FUNCTION append_events(jsonb, jsonb, jsonb, jsonb) SECURITY INVOKER",
    "ALTER FUNCTION append_events(jsonb, jsonb, jsonb, jsonb) RESET search_path",
    "CREATE OR REPLACE FUNCTION forbid_change() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "DROP FUNCTION maintain_partitions()",
]
SCHEMA = [
    "CREATE TABLE public.mine (id int)",
    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA mine",
    "DROP TABLE requests",
    "ALTER TABLE requests ADD COLUMN mine int",
    "ALTER TABLE notification_contacts OWNER TO {me}",
    "CREATE TRIGGER mine BEFORE INSERT ON events EXECUTE FUNCTION forbid_change()",
    "CREATE RULE mine AS ON INSERT TO events DO INSTEAD NOTHING",
    "INSERT INTO alembic_version VALUES ('9999')",
    "UPDATE read_models SET version = 0",
]
ATTACKS = [*BECOMING_MORE, *OUT_OF_THE_DATABASE, *HISTORY, *FENCE, *FUNCTIONS, *SCHEMA]


async def allowed(connection: psycopg.AsyncConnection, statement: str) -> bool:
    try:
        if statement.startswith("ALTER SYSTEM"):  # never in a transaction
            await connection.execute(statement.encode())
        async with connection.transaction(force_rollback=True):
            await connection.execute(statement.encode())
    except DENIED:
        return False
    return True


@pytest.mark.parametrize("role", LOGINS)
async def test_no_attack_is_allowed_to_any_login(logins: Logins, role: str) -> None:
    async with logins.connected(role) as connection:
        said = [one.replace("{me}", ROLES.name(role)) for one in ATTACKS]
        assert [one for one in said if await allowed(connection, one)] == []


@pytest.mark.parametrize("role", LOGINS)
async def test_to_reset_the_role_gains_nothing(logins: Logins, role: str) -> None:
    async with logins.connected(role) as connection:
        await connection.execute("RESET ROLE; RESET SESSION AUTHORIZATION")
        found = await connection.execute(
            "SELECT current_user, session_user, current_setting('is_superuser')"
        )
        assert await found.fetchone() == (ROLES.name(role), ROLES.name(role), "off")


@pytest.mark.parametrize("role", LOGINS)
async def test_no_login_becomes_another(logins: Logins, role: str) -> None:
    others = [ROLES.name(one) for one in ROLES.all if one != role]
    async with logins.connected(role) as connection:
        assert [one for one in others if await allowed(connection, f"SET ROLE {one}")] == []


async def test_addresses_of_recipients_are_read_by_those_that_need_them_alone(
    logins: Logins,
) -> None:
    readers = []
    for role in LOGINS:
        async with logins.connected(role) as connection:
            if await allowed(connection, "SELECT email FROM notification_contacts"):
                readers.append(role)
    # The worker deletes them at an erasure; they are sealed, and consumers have no keys.
    assert readers == ["api", "worker", "notifier", "consumer:notifications"]


async def test_who_reads_addresses_cannot_let_others_read_them(logins: Logins) -> None:
    async with logins.connected("api") as connection:
        await connection.execute("GRANT ALL ON notification_contacts TO PUBLIC, handrail_lake")
    async with logins.connected("lake") as connection:
        assert not await allowed(connection, "SELECT FROM notification_contacts")


async def test_no_consumer_reads_the_tables_of_another(logins: Logins) -> None:
    owners = {
        "ledger_lines": "consumer:finance",
        "packing_lists": "consumer:logistics",
        "notification_orders": "consumer:notifications",
    }
    for table, owner in owners.items():
        for role in LOGINS:
            async with logins.connected(role) as connection:
                reads = await allowed(connection, f"SELECT FROM {table}")
            assert reads == (role in {owner, "operator", "api"}), (table, role)


async def test_workers_alone_append(logins: Logins) -> None:
    append = "SELECT append_events('[]', '[]', '{}', NULL)"
    writers = []
    for role in LOGINS:
        async with logins.connected(role) as connection:
            if await allowed(connection, append):
                writers.append(role)
    assert writers == ["worker"]


async def test_a_worker_appends_under_the_fence_and_never_to_a_table_of_its_own(
    logins: Logins,
) -> None:
    """A temporary table hides none of the tables that the function writes."""
    async with open_pool(logins.url("worker"), size=1) as pool:
        async with pool.connection() as connection:
            for table in ("events", "streams", "outbox", "commands"):
                copy = sql.SQL("CREATE TEMP TABLE {} (name text)")
                await connection.execute(copy.format(sql.Identifier(table)))
        store = EventStore(pool, CODEC)
        done = await store.append([("b-1", ANY_VERSION, notes(2))], context=step("A"))

    assert done.status == "appended"
    assert await logins.sql("SELECT version FROM streams WHERE name = 'b-1'") == [(2,)]
    assert await logins.sql("SELECT count(*) FROM events WHERE stream = 'b-1'") == [(2,)]


async def test_the_function_that_appends_belongs_to_a_role_that_cannot_log_in(
    logins: Logins,
) -> None:
    found = await logins.sql(
        "SELECT r.rolname, r.rolcanlogin, r.rolsuper, p.prosecdef,"
        " 'search_path=public, pg_temp' = ANY (p.proconfig)"
        " FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE p.proname = 'append_events'"
    )
    assert found == [("handrail_store", False, False, True, True)]


async def test_each_function_that_runs_as_its_owner_has_a_fixed_search_path(
    logins: Logins,
) -> None:
    found = await logins.sql(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE prosecdef"
        " AND pronamespace = 'public'::regnamespace"
        " AND NOT 'search_path=public, pg_temp' = ANY (coalesce(proconfig, '{}'))"
    )
    assert found == []


async def test_no_function_of_the_library_is_for_everybody(logins: Logins) -> None:
    found = await logins.sql(
        "SELECT p.oid::regprocedure::text FROM pg_proc p,"
        " aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
        " WHERE p.pronamespace = 'public'::regnamespace AND a.grantee = 0"
    )
    assert found == []
