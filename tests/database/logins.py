"""A migrated database of the shop, and a connection of each process's login."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from sqlalchemy import create_engine, make_url

from handrail.access.database_roles import DatabaseRoles
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.business_tables import roles_of
from handrail.eventstore.grants import set_passwords
from handrail.migrate import migrate
from handrail.testing.database_copies import to_be_copied
from runtime.app import HANDRAIL

ROLES: DatabaseRoles = roles_of(HANDRAIL.tables, [one.name for one in HANDRAIL.consumers])
LOGINS = ROLES.logins
_TEMPLATE = "logins_template"
PASSWORD = "of every login in tests"  # of a server that ends with the tests


@dataclass(frozen=True)
class Logins:
    owner: str
    """The URL of the owner."""

    def url(self, role: str) -> str:
        parts = urlsplit(self.owner)
        _, _, address = parts.netloc.rpartition("@")
        user = f"{ROLES.name(role)}:{PASSWORD.replace(' ', '%20')}"
        return urlunsplit(parts._replace(netloc=f"{user}@{address}"))

    @asynccontextmanager
    async def connected(self, role: str) -> AsyncIterator[psycopg.AsyncConnection]:
        async with await psycopg.AsyncConnection.connect(self.url(role), autocommit=True) as one:
            yield one

    async def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the owner."""
        async with await psycopg.AsyncConnection.connect(self.owner, autocommit=True) as one:
            found = await one.execute(statement.encode(), values or None)
            return await found.fetchall() if found.description else []


@asynccontextmanager
async def a_database(postgres: EmbeddedPostgres) -> AsyncIterator[Logins]:
    """Migrated, as its owner does it, and copied: to migrate takes ten times as long."""
    name = f"logins_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await _make_template(postgres, admin)
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}".encode())
        logins = Logins(postgres.url_of(name))
        await asyncio.to_thread(with_passwords, logins.owner)
        yield logins
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


async def _make_template(postgres: EmbeddedPostgres, admin: psycopg.AsyncConnection) -> None:
    """Once for each server. It has its name when it is complete."""
    found = await admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE])
    if await found.fetchone() is not None:
        return
    name = f"{_TEMPLATE}_{uuid4().hex[:8]}"
    await admin.execute(f"CREATE DATABASE {name}".encode())
    await asyncio.to_thread(migrate, postgres.url_of(name), "handrail_app", app=HANDRAIL)
    await to_be_copied(postgres.url_of(name))
    await admin.execute(f"ALTER DATABASE {name} RENAME TO {_TEMPLATE}".encode())


def with_passwords(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        set_passwords(connection, ROLES, dict.fromkeys(LOGINS, PASSWORD))
    engine.dispose()


async def migrated_again(logins: Logins) -> None:
    await asyncio.to_thread(migrate, logins.owner, "handrail_app", app=HANDRAIL)
