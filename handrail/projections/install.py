"""Bring the read models of a database to what this code knows: tables, rights, checkpoints.

Runs as the owner of the database, after the migrations; what is there already stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text

from handrail.access.database_roles import DatabaseRoles
from handrail.eventstore.grants import grant_read_models, grant_tables
from handrail.eventstore.identity import refuse_another_store
from handrail.eventstore.indexes_in_use import build_indexes
from handrail.eventstore.row_security import access_of_read_model, secure, secure_in_use
from handrail.eventstore.store import SHARDS
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.projections.projection import Projection
from handrail.projections.read_model import NEXT
from handrail.projections.tables import build, drop, forms, housekeeping

_ROLES: Final = DatabaseRoles()


class VersionForgotten(Exception):
    """The table has other columns than the code, at the same version: raise the version."""


@dataclass
class Installed:
    created: list[str] = field(default_factory=list)
    being_built: list[str] = field(default_factory=list)
    """Beside the one in use, which is of another version: `rebuild` exchanges them."""
    unknown: list[str] = field(default_factory=list)
    """Checkpoints and tables of projections, and checkpoints of others who follow the feed, that
    this code does not know. They keep the outbox from being pruned; whoever is sure removes them.
    """


def install(
    url: str,
    role: str | None,
    projections: Sequence[Projection[Any]],
    others: Sequence[str] = (),
    roles: DatabaseRoles = _ROLES,
) -> Installed:
    """`others` are the names of those who follow the feed too, `roles` those of the processes, and
    `role` the one that processes switch to which log in as the owner. Raises VersionForgotten.
    """
    engine = owner_engine(url)
    try:
        with engine.begin() as connection:
            lock(connection)
            housekeeping.create_all(connection)
            done = Installed()
            for projection in projections:
                _install(connection, projection, role, done, roles)
            tables = [one.name for each in projections for one in each.tables]
            grant_read_models(connection, roles, [*tables, *(f"{one}{NEXT}" for one in tables)])
            grant_tables(connection, roles, only=(forms.name,))
            done.unknown = _unknown(connection, projections, others)
            if role:
                name = connection.dialect.identifier_preparer.quote(role)
                connection.exec_driver_sql(f"GRANT SELECT ON read_models TO {name}")
        secure_read_models(engine, projections, role, roles)
        _build_new_indexes(engine, projections)
        return done
    finally:
        engine.dispose()


def _build_new_indexes(engine: Engine, projections: Sequence[Projection[Any]]) -> None:
    """An index that a read model gained since its table was made: that needs no rebuild."""
    with engine.connect() as connection:
        in_use = [one for one in projections if version_of(connection, one.name) == one.version]
    build_indexes(
        engine, [index for one in in_use for table in one.tables for index in table.indexes]
    )


def secure_read_models(
    engine: Engine,
    projections: Sequence[Projection[Any]],
    role: str | None,
    roles: DatabaseRoles = _ROLES,
) -> list[str]:
    """Row-level security on those in use and those being built; what that changed."""
    owners = {
        table + suffix: owner
        for one in projections
        for table, owner in one.owners.items()
        for suffix in ("", NEXT)
    }
    access = access_of_read_model(roles, role or "")
    return secure_in_use(engine, owners, dict.fromkeys(owners, access))


def owner_engine(url: str) -> Engine:
    """Its connections raise Refused where the server is not the one the store was on."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))

    @event.listens_for(engine, "connect")
    def look(connection: Any, _record: Any) -> None:
        refuse_another_store(connection)

    return engine


def lock(connection: Connection) -> None:
    """Several processes may start at once: one works, the others wait and find it done."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('handrail read models'))"))


def version_of(connection: Connection, name: str) -> int | None:
    found = connection.execute(
        text("SELECT version FROM read_models WHERE name = :name"), {"name": name}
    )
    version: int | None = found.scalar_one_or_none()
    return version


def begin(
    connection: Connection,
    projection: Projection[Any],
    role: str | None,
    suffix: str = "",
    roles: DatabaseRoles = _ROLES,
) -> None:
    """An empty read model with checkpoints at the beginning."""
    name = projection.name + suffix
    for table in projection.tables:
        build(connection, table, suffix)
        if role:
            quote = connection.dialect.identifier_preparer.quote
            connection.exec_driver_sql(
                f"GRANT SELECT, INSERT, UPDATE, DELETE"
                f" ON {quote(table.name + suffix)} TO {quote(role)}"
            )
    grant_read_models(connection, roles, [one.name + suffix for one in projection.tables])
    access = access_of_read_model(roles, role or "")
    for table_name, owner in projection.owners.items():
        secure(connection, table_name + suffix, owner, access)
    connection.execute(
        text("INSERT INTO read_models (name, version) VALUES (:name, :version)"),
        {"name": name, "version": projection.version},
    )
    _add_checkpoints(connection, name)


def discard(connection: Connection, projection: Projection[Any], suffix: str) -> None:
    name = projection.name + suffix
    for one in projection.tables:
        drop(connection, one.name + suffix)
    for table, column in (
        ("checkpoints", "projection"),
        ("parked_events", "projection"),
        ("read_models", "name"),
    ):
        connection.execute(text(f"DELETE FROM {table} WHERE {column} = :name"), {"name": name})


def _install(
    connection: Connection,
    projection: Projection[Any],
    role: str | None,
    done: Installed,
    roles: DatabaseRoles,
) -> None:
    live = version_of(connection, projection.name)
    if live is None:
        begin(connection, projection, role, roles=roles)
        done.created.append(projection.name)
        return
    if live == projection.version:
        _check(connection, projection)
        _add_checkpoints(connection, projection.name)
    elif live > projection.version or _built_for_newer_code(connection, projection):
        # An older release is migrated, or restarted, beside a newer one: that one has the word.
        return
    elif version_of(connection, projection.name + NEXT) != projection.version:
        discard(connection, projection, NEXT)
        begin(connection, projection, role, NEXT, roles)
    if version_of(connection, projection.name + NEXT) is not None:
        done.being_built.append(projection.name)


def _built_for_newer_code(connection: Connection, projection: Projection[Any]) -> bool:
    return (version_of(connection, projection.name + NEXT) or 0) > projection.version


def _add_checkpoints(connection: Connection, name: str) -> None:
    connection.execute(
        text(
            "INSERT INTO checkpoints (projection, shard, since, epoch)"
            " SELECT :name, s, CAST(:since AS pg_snapshot),"
            " (SELECT coalesce(max(epoch), 1) FROM store_epochs)"
            " FROM generate_series(0, :shards - 1) AS s ON CONFLICT DO NOTHING"
        ),
        {"name": name, "since": NOTHING_SEEN, "shards": SHARDS},
    )


def _check(connection: Connection, projection: Projection[Any]) -> None:
    there = {column["name"] for column in inspect(connection).get_columns(projection.table.name)}
    ours = {projection.name_of(one) for one in projection.columns}
    if there != ours:
        raise VersionForgotten(
            f"{projection.name}: version {projection.version} has the columns {sorted(there)}"
            f" in the database and {sorted(ours)} in the code;"
            " raise Projection.version, and it is built anew"
        )


def _unknown(
    connection: Connection, projections: Sequence[Projection[Any]], others: Sequence[str]
) -> list[str]:
    known = [projection.name + suffix for projection in projections for suffix in ("", NEXT)]
    known += others
    found = connection.execute(
        text(
            "SELECT projection FROM checkpoints WHERE projection <> ALL (:known)"
            " UNION SELECT name FROM read_models WHERE name <> ALL (:known) ORDER BY 1"
        ),
        {"known": known},
    )
    return list(found.scalars())
