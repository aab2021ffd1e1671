"""What `handrail database roles` does, as the owner of the database."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import OperationalError

from handrail.access.database_roles import DatabaseRoles
from handrail.eventstore.business_tables import roles_of
from handrail.eventstore.grants import (
    Dangerous,
    grant_read_models,
    make_roles,
    missing_roles,
    set_passwords,
    sql_of_roles,
)
from handrail.eventstore.row_security import TableBusy
from handrail.eventstore.short_locks import LOCK
from handrail.migrations import grant_all, secure_tables, withdraw_rights
from handrail.projections.install import secure_read_models
from handrail.projections.read_model import NEXT
from handrail.settings import Settings

if TYPE_CHECKING:
    from handrail.app import App

_LONGEST: Final = 1024


class NoPassword(ValueError):
    """A file that holds no password of a login."""


CANNOT: Final = (Dangerous, NoPassword, TableBusy, OperationalError, OSError)


def roles(app: App, settings: Settings, passwords: Path | None) -> int:
    """0 where every role is there. Before the first migration, it makes the roles alone."""
    of_app = roles_of_app(app, settings)
    given = passwords_in(passwords, of_app) if passwords else {}
    with _as_owner(settings) as engine, engine.begin() as connection:
        connection.exec_driver_sql(LOCK)
        done = make_roles(connection, of_app)
        missing = missing_roles(connection, of_app)
        migrated = _is_migrated(connection)
        if migrated:
            tables = [one.name for each in app.read_models for one in each.tables]
            both = [*tables, *(f"{one}{NEXT}" for one in tables)]
            done += grant_all(connection, of_app, settings.database_role)
            done += grant_read_models(connection, of_app, both)
        if not missing:
            named = set_passwords(connection, of_app, given)
            done += [f"ALTER ROLE {name} PASSWORD …" for name in named]
        by_a_dba = sql_of_roles(connection, of_app) if missing else []
    if migrated:
        with _as_owner(settings) as engine:
            done += secure_tables(engine, of_app, app.tables, settings.database_role)
            done += secure_read_models(engine, app.read_models, settings.database_role, of_app)
            done += withdraw_rights(engine, of_app, settings.database_role)
    print(*([f"{one};" for one in done] or ["-- nothing to do"]), sep="\n")
    if missing:
        print("this login may make no roles; a DBA runs, and then this command again:")
        print(*(f"{one};" for one in by_a_dba), sep="\n")
    return 1 if missing else 0


def print_sql(app: App, settings: Settings) -> int:
    with _as_owner(settings) as engine, engine.begin() as connection:
        lines = sql_of_roles(connection, roles_of_app(app, settings))
    print(*(f"{one};" for one in lines), sep="\n")
    return 0


def roles_of_app(app: App, settings: Settings) -> DatabaseRoles:
    consumers = [one.name for one in app.consumers]
    return roles_of(app.tables, consumers, settings.database_role_prefix)


def passwords_in(folder: Path, roles: DatabaseRoles) -> Mapping[str, str]:
    """Of the files that are named after a login. Raises NoPassword, OSError."""
    found = {}
    for role in roles.logins:
        file = folder / role.replace(":", "-")
        if file.exists():
            found[role] = _password(file)
    if not found:
        names = ", ".join(one.replace(":", "-") for one in roles.logins)
        raise NoPassword(f"{folder} has no file with a password: there may be {names}")
    return found


def _password(file: Path) -> str:
    with file.open() as text:
        line = text.readline(_LONGEST + 2).rstrip("\r\n")
    if not line or len(line) > _LONGEST or "\0" in line:
        raise NoPassword(f"{file}: the first line has to be a password of 1 to {_LONGEST} letters")
    return line


@contextmanager
def _as_owner(settings: Settings) -> Iterator[Engine]:
    url = make_url(str(settings.owner_url)).set(drivername="postgresql+psycopg")
    engine = create_engine(url, connect_args={"connect_timeout": 5})
    try:
        yield engine
    except OperationalError as error:
        print("the database cannot be reached as its owner", file=sys.stderr)
        raise error.with_traceback(None) from None
    finally:
        engine.dispose()


def _is_migrated(connection: Connection) -> bool:
    found = connection.exec_driver_sql("SELECT to_regclass('public.store_epochs') IS NOT NULL")
    return bool(found.scalar_one())
