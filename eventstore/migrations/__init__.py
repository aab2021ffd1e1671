"""Bring a database to the newest schema: tables by Alembic, functions as they stand in `functions/`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, make_url, text

FUNCTIONS = files("eventstore") / "functions"


def upgrade(url: str, role: str = "handrail_app") -> None:
    """Migrate the database at `url`, logged in as its owner; `role` is what the application may be.

    The role is created where it is missing. An empty role grants nothing.
    """
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            # Several processes may start at once: one migrates, the others wait and find it done.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('handrail migrate'))"))
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            install_functions(connection)
            if role:
                grant(connection, role)
            connection.execute(text("SELECT maintain_partitions(1000000, interval '1 year')"))
    finally:
        engine.dispose()


def install_functions(connection: Connection) -> None:
    for file in sorted(FUNCTIONS.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".sql"):
            connection.exec_driver_sql(file.read_text().replace("%", "%%"))
    connection.exec_driver_sql(
        "CREATE OR REPLACE TRIGGER events_are_immutable"
        " BEFORE UPDATE OR DELETE OR TRUNCATE ON events"
        " FOR EACH STATEMENT EXECUTE FUNCTION forbid_change()"
    )


def grant(connection: Connection, role: str) -> None:
    """What the application may do: append events, never change one."""
    name = connection.dialect.identifier_preparer.quote(role)
    exists = connection.execute(text("SELECT FROM pg_roles WHERE rolname = :role"), {"role": role})
    if exists.first() is None:
        connection.exec_driver_sql(f"CREATE ROLE {name} NOLOGIN")
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT, INSERT ON events, outbox TO {name}",
        f"GRANT SELECT, INSERT, UPDATE ON streams, commands, snapshots TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON checkpoints, parked_events, requests TO {name}",
    ):
        connection.exec_driver_sql(statement)
