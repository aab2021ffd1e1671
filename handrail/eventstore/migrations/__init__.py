"""Bring a database to the newest schema: tables by Alembic, functions as in `functions/`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from handrail.eventstore.business_tables import BusinessTables
from handrail.eventstore.identity import ADOPT, LOOK, NOT_MIGRATED, NewTimeline, Standing

FUNCTIONS = files("handrail.eventstore") / "functions"


def upgrade(
    url: str,
    role: str = "handrail_app",
    *,
    new_timeline: NewTimeline = "stop",
    own: BusinessTables | None = None,
) -> None:
    """Migrate the database at `url`, logged in as its owner; `role` is what the application may be.

    `own` are the tables of the business, which come beside those of the library.

    The role is created where it is missing. An empty role grants nothing. Raises OtherStore where
    the server is not the one the store was on, and Standby.
    """
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            # Several processes may start at once: one migrates, the others wait and find it done.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('handrail migrate'))"))
            refuse_another_store(connection, new_timeline)
            command.upgrade(configured(connection, own), "heads")
            install_functions(connection)
            connection.execute(_FIRST_EPOCH)
            if role:
                grant(connection, role, own)
            connection.execute(text("SELECT maintain_partitions(1000000, interval '1 year')"))
    finally:
        engine.dispose()


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
    try:
        reached = {one.revision for one in scripts.get_all_current(tuple(versions))}
    except CommandError:  # one of them is none of this code's
        reached = set()
    if heads <= reached:
        return ""
    is_at = ", ".join(sorted(versions)) or "no version"
    return f"the database is at {is_at}, and this code needs {', '.join(sorted(heads))}"


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
    first_position, cause, decided_by)
SELECT 1, i.system_identifier * known.so, i.timeline * known.so, i.events_oid * known.so, 0, 1,
    CASE WHEN known.so = 1 THEN 'the store was migrated'
        ELSE 'the store was migrated, and had transaction numbers of another server' END,
    'handrail migrate'
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


def grant(connection: Connection, role: str, own: BusinessTables | None = None) -> None:
    """What the application may do: append events, never change one."""
    name = connection.dialect.identifier_preparer.quote(role)
    for statement in (
        # Roles belong to the server: another of its databases may make this one at the same time.
        (
            f"DO $$ BEGIN CREATE ROLE {name} NOLOGIN;"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        ),
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT ON alembic_version TO {name}",
        f"GRANT SELECT, INSERT ON events, outbox TO {name}",
        f"GRANT SELECT, INSERT, UPDATE ON streams, commands, snapshots, long_attempts TO {name}",
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
        f"GRANT SELECT ON store_epochs TO {name}",
        f"GRANT SELECT, INSERT, UPDATE ON subject_keys TO {name}",
        "REVOKE EXECUTE ON FUNCTION maintain_partitions, adopt_timeline, adopt_store FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION maintain_partitions, adopt_timeline TO {name}",
    ):
        connection.exec_driver_sql(statement)
    quote = connection.dialect.identifier_preparer.quote
    for table, rights in own.rights.items() if own else ():
        connection.exec_driver_sql(f"GRANT {', '.join(rights)} ON {quote(table)} TO {name}")
