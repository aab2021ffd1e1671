"""Bring a database to the newest schema: tables by Alembic, functions as in `functions/`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from handrail.access.database_roles import DatabaseRoles
from handrail.access.row_owner import OWNER
from handrail.eventstore.business_tables import BusinessTables, roles_of
from handrail.eventstore.grants import (
    grant_functions,
    grant_tables,
    make_roles,
    own_append,
    rights_to_withdraw,
)
from handrail.eventstore.identity import ADOPT, LOOK, NOT_MIGRATED, NewTimeline, Standing
from handrail.eventstore.indexes_in_use import build_indexes
from handrail.eventstore.newer_schema import passed, versions_of
from handrail.eventstore.row_security import (
    SUBSCRIBERS,
    access_of,
    in_turn,
    secure_in_use,
    secure_subscribers,
)
from handrail.eventstore.running_transactions import wait_for_running
from handrail.eventstore.short_locks import LOCK, in_short_locks, wait_briefly
from handrail.eventstore.tables import metadata as store_metadata
from handrail.notifications.tables import metadata as messages_metadata
from handrail.webhook_endpoints.tables import metadata as endpoints_metadata

_log = structlog.get_logger(__name__)
FUNCTIONS = files("handrail.eventstore") / "functions"


def upgrade(
    url: str,
    role: str = "handrail_app",
    *,
    new_timeline: NewTimeline = "stop",
    own: BusinessTables | None = None,
    roles: DatabaseRoles | None = None,
) -> list[str]:
    """Migrate the database at `url`, logged in as its owner; `roles` are those of its processes.

    `own` are the tables of the business, which come beside those of the library. `role` is the one
    that all processes of earlier releases switch to; an empty one gets nothing.

    Roles are created where they are missing. Answers what was done about them. Raises OtherStore
    where the server is not the one the store was on, Standby, Dangerous, and TablesBusy where a
    transaction has a table for a minute that is to be changed.
    """
    roles = roles or roles_of(own)
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        if not in_short_locks(engine, partial(_upgrade_tables, new_timeline=new_timeline, own=own)):
            return []
        # In a transaction of its own: what a revision has locked is free again by now.
        done = in_short_locks(engine, partial(_complete, role=role, own=own, roles=roles))
        done += build_indexes(engine)
        done += secure_tables(engine, roles, own, role)
        return done + withdraw_rights(engine, roles, role)
    finally:
        engine.dispose()


def _upgrade_tables(
    connection: Connection, new_timeline: NewTimeline, own: BusinessTables | None
) -> bool:
    """Whether the schema is this code's; False for one of a newer release, which stays as it is."""
    # Several processes may start at once: one migrates, the others wait and find it done.
    connection.exec_driver_sql(LOCK)
    refuse_another_store(connection, new_timeline)
    heads = ScriptDirectory.from_config(configured(None, own)).get_heads()
    if newer := passed(heads, versions_of(connection)):
        _log.warning("the schema is of a newer release, and stays as it is", past=sorted(newer))
        return False
    wait_briefly(connection)
    command.upgrade(configured(connection, own), "heads")
    return True


def _complete(
    connection: Connection, role: str, own: BusinessTables | None, roles: DatabaseRoles
) -> list[str]:
    connection.exec_driver_sql(LOCK)
    wait_briefly(connection)
    install_functions(connection)
    connection.execute(_FIRST_EPOCH)
    done = make_roles(connection, roles)
    if role:
        grant(connection, role, own)
    done += grant_all(connection, roles, role)
    connection.execute(text("SELECT maintain_partitions()"))
    return done


def configured(connection: Connection | None, own: BusinessTables | None) -> Config:
    """Alembic's configuration of both branches, with the connection that migrations run on."""
    library = Path(__file__).parent
    folders = [library / "versions", *([own.revisions] if own else [])]
    config = Config()
    config.set_main_option("script_location", str(library))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, folders)))
    config.attributes["connection"] = connection
    return config


def not_reached(versions: Sequence[str], own: BusinessTables | None) -> str:
    """What a database at these versions lacks, in a sentence; empty where it has all revisions."""
    scripts = ScriptDirectory.from_config(configured(None, own))
    heads = set(scripts.get_heads())
    # Others are none of this code's: a newer release's, or of another database.
    known = tuple(one for one in versions if _knows(scripts, one))
    reached = {one.revision for one in scripts.get_all_current(known)} | passed(heads, versions)
    if heads <= reached:
        return ""
    is_at = ", ".join(sorted(versions)) or "no version"
    return f"the database is at {is_at}, and this code needs {', '.join(sorted(heads))}"


def _knows(scripts: ScriptDirectory, version: str) -> bool:
    try:
        return scripts.get_revision(version) is not None
    except CommandError:
        return False


def refuse_another_store(connection: Connection, new_timeline: NewTimeline = "stop") -> None:
    """Raises OtherStore where the server is not the one the store was on, and Standby."""
    try:
        with connection.begin_nested():
            standing = _standing(connection)
    except ProgrammingError as error:
        if isinstance(error.orig, NOT_MIGRATED):
            return
        raise
    if standing.is_promoted and new_timeline == "adopt":
        connection.exec_driver_sql(ADOPT, ("handrail migrate",))
        standing = _standing(connection)
    if standing.refusal:
        raise standing.refusal


def _standing(connection: Connection) -> Standing:
    return Standing.of(tuple(connection.exec_driver_sql(LOOK).one()))


# What has numbers of another server already is not known to be anybody's: an operator decides.
_FIRST_EPOCH = text("""
INSERT INTO store_epochs (epoch, system_identifier, timeline, events_oid, restored_position,
    first_position, cause, decided_by, database_oid)
SELECT 1, i.system_identifier * known.so, i.timeline * known.so, i.events_oid * known.so, 0, 1,
    CASE WHEN known.so = 1 THEN 'the store was migrated'
        ELSE 'the store was migrated, and had transaction numbers of another server' END,
    'handrail migrate',
    (SELECT d.oid::bigint FROM pg_database d WHERE d.datname = current_database() AND known.so = 1)
FROM store_identity() AS i, (SELECT (NOT numbers_ahead())::int AS so) AS known
WHERE NOT EXISTS (SELECT FROM store_epochs)
""")


def install_functions(connection: Connection) -> None:
    # One may call another that comes later.
    connection.exec_driver_sql("SET LOCAL check_function_bodies = off")
    for file in sorted(FUNCTIONS.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".sql"):
            connection.exec_driver_sql(file.read_text().replace("%", "%%"))
    trigger = connection.exec_driver_sql(
        "SELECT FROM pg_trigger WHERE tgrelid = 'events'::regclass"
        " AND tgname = 'events_are_immutable'"
    )
    if trigger.first() is None:  # replacing it would wait for every writer, and stop all others
        connection.exec_driver_sql(
            "CREATE TRIGGER events_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON events"
            " FOR EACH STATEMENT EXECUTE FUNCTION forbid_change()"
        )


def secure_tables(
    engine: Engine, roles: DatabaseRoles, own: BusinessTables | None, application: str
) -> list[str]:
    """Row-level security on the tables of the library and the business; what that changed."""
    owners = {
        table.name: table.info[OWNER]
        for metadata in (store_metadata, messages_metadata, endpoints_metadata)
        for table in metadata.sorted_tables
        if OWNER in table.info
    }
    owners |= own.owners if own else {}
    accesses = {table: access_of(roles, table, application) for table in owners}
    done = secure_in_use(engine, owners, accesses)
    for table in SUBSCRIBERS:
        secured = partial(secure_subscribers, roles=roles, table=table, application=application)
        done += in_turn(engine, table, secured)
    return done


def grant_all(connection: Connection, roles: DatabaseRoles, application: str) -> list[str]:
    """The rights of the roles that there are, on all but read models; what that changed."""
    return [
        *grant_tables(connection, roles),
        *grant_functions(connection, roles, function_names(), application),
        *own_append(connection, roles),
    ]


def withdraw_rights(engine: Engine, roles: DatabaseRoles, application: str) -> list[str]:
    """Takes from all roles what they no longer need; answers the statements.

    A call of a function that is under way was begun when they still needed it, so it comes after
    the transaction that replaced the functions, and after those that were running then.
    """

    def to_withdraw(connection: Connection) -> list[str]:
        found = rights_to_withdraw(connection, roles)
        if application and connection.exec_driver_sql(_WRITES, {"role": application}).scalar_one():
            name = connection.dialect.identifier_preparer.quote(application)
            found.append(f"REVOKE INSERT, UPDATE ON {_WRITTEN_BY_FUNCTIONS} FROM {name}")
        return found

    with engine.connect() as connection:
        if not to_withdraw(connection):
            return []
    wait_for_running(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(LOCK)
        done = to_withdraw(connection)
        for statement in done:
            connection.exec_driver_sql(statement)
    return done


_WRITTEN_BY_FUNCTIONS: Final = "events, outbox, streams, commands, long_attempts"
_WRITES: Final = f"""
SELECT EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a
    WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = %(role)s)
      AND a.privilege_type IN ('INSERT', 'UPDATE') AND c.relnamespace = 'public'::regnamespace
      AND c.relname = ANY (string_to_array('{_WRITTEN_BY_FUNCTIONS}', ', ')))
"""


def function_names() -> list[str]:
    """Of all functions of the library."""
    names = [one.name.removesuffix(".sql") for one in FUNCTIONS.iterdir()]
    return [name.removesuffix("_by_timer") for name in names]


def grant(connection: Connection, role: str, own: BusinessTables | None = None) -> None:
    """The role that processes switch to which log in as the owner: it may do what any process has
    to. They go on beside those that have a login of their own.
    """
    name = connection.dialect.identifier_preparer.quote(role)
    known = connection.exec_driver_sql(
        "SELECT FROM pg_roles WHERE rolname = %(role)s", {"role": role}
    )
    if known.first() is None:
        # Roles belong to the server: another of its databases may make this one at the same time.
        connection.exec_driver_sql(
            f"DO $$ BEGIN CREATE ROLE {name} NOLOGIN;"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT ON alembic_version TO {name}",
        f"GRANT SELECT ON events, outbox, streams, commands, long_attempts TO {name}",
        f"GRANT SELECT, INSERT, UPDATE ON snapshots TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON state_snapshots TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON checkpoints, parked_events, requests TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks, saga_places, followers TO {name}",
        f"GRANT SELECT, INSERT, DELETE ON inbox, parked_streams TO {name}",
        f"GRANT DELETE ON campaigns TO {name}",
        f"GRANT UPDATE ON parked_streams TO {name}",  # which is the right to lock its rows
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON parked_messages TO {name}",
        f"GRANT SELECT, INSERT ON consumer_wants TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON consumer_backfills TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON notification_contacts TO {name}",
        f"GRANT SELECT, INSERT, UPDATE ON campaigns TO {name}",
        f"GRANT SELECT, INSERT, DELETE ON campaign_audience TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON lake_batches TO {name}",
        f"GRANT SELECT, INSERT, DELETE ON row_snapshots TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON newer_code_waits TO {name}",
        f"GRANT SELECT, INSERT ON newer_code_decisions TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON retry_requests TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON form_readers TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON dead_message_acts TO {name}",
        f"GRANT SELECT, INSERT, UPDATE ON rebuild_requests TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_deliveries TO {name}",
        f"GRANT SELECT ON store_epochs, notification_channels, moments TO {name}",
        f"GRANT SELECT, INSERT ON kept_totals TO {name}",
        # Keys are made by the owner: the application could else give itself every right.
        f"GRANT SELECT ON api_keys TO {name}",
        f"GRANT SELECT, INSERT, UPDATE ON api_key_uses TO {name}",
        f"GRANT SELECT, INSERT, UPDATE ON subject_keys TO {name}",
        f"GRANT SELECT, INSERT, UPDATE ON event_levels TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON process_versions TO {name}",
    ):
        connection.exec_driver_sql(statement)
    quote = connection.dialect.identifier_preparer.quote
    for table, rights in own.rights.items() if own else ():
        connection.exec_driver_sql(f"GRANT {', '.join(rights)} ON {quote(table)} TO {name}")
