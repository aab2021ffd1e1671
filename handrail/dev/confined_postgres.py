"""The embedded PostgreSQL of a stack: its superuser is reached by a local socket alone.

Processes come by TCP, each with a login and a password of its own; the owner of the database, who
migrates, is no superuser either.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from handrail.dev.postgres import DATABASE, EmbeddedPostgres

OWNER: Final = "handrail_owner"
_SUPERUSER: Final = "postgres"
_LONGEST_SOCKET: Final = 90
"""Bytes of a socket's folder; the system allows some more, with the name of the socket."""
_HBA: Final = f"""\
# Written at every start.
local all {_SUPERUSER} scram-sha-256
local all all          reject
host  all {_SUPERUSER} all          reject
host  all all          127.0.0.1/32 scram-sha-256
"""


class ConfinedPostgres(EmbeddedPostgres):
    """`url` is the owner's, who may make tables and roles in it, and nothing outside of it."""

    _socket: Path | None = None

    def url_of(self, database: str) -> str:
        password = (self.data_dir / "owner.password").read_text()
        return f"postgresql://{OWNER}:{password}@127.0.0.1:{self.port}/{database}"

    async def stop(self) -> None:
        await super().stop()
        self._forget_socket()

    async def kill(self) -> None:
        await super().kill()
        self._forget_socket()

    def _prepare(self) -> dict[str, str]:
        hba = self._cluster / "pg_hba.conf"
        hba.write_text(_HBA)
        self._forget_socket()
        self._socket = self._new_socket()
        return {"unix_socket_directories": str(self._socket), "unix_socket_permissions": "0700"}

    def _new_socket(self) -> Path:
        folder = self.data_dir / "socket"
        if len(os.fsencode(folder)) > _LONGEST_SOCKET:
            folder = Path(tempfile.mkdtemp(prefix="handrail-"))
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._uid >= 0:
            os.chown(folder, self._uid, self._uid)
        return folder

    def _forget_socket(self) -> None:
        if self._socket is not None:
            shutil.rmtree(self._socket, ignore_errors=True)
            self._socket = None

    def _administrators_url(self, database: str) -> str:
        password = self._password_file.read_text()
        where = quote(str(self._socket), safe="")
        return f"postgresql://{_SUPERUSER}:{password}@/{database}?host={where}&port={self.port}"

    async def _create_database(self) -> None:
        await super()._create_database()
        async with await self._connect() as connection:
            await self._make_owner(connection)
        async with await self._connect(DATABASE) as connection:
            await connection.execute(_HAND_OVER)

    async def _make_owner(self, connection: psycopg.AsyncConnection) -> None:
        file = self.data_dir / "owner.password"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        verifier = connection.pgconn.encrypt_password(
            file.read_bytes(), OWNER.encode(), b"scram-sha-256"
        ).decode()
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            await connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
        for statement in (
            sql.SQL(f"ALTER ROLE {OWNER} PASSWORD {{}}").format(sql.Literal(verifier)),
            sql.SQL(f"ALTER DATABASE {DATABASE} OWNER TO {OWNER}"),
            sql.SQL(_ROLES_OF_BEFORE),
        ):
            await connection.execute(statement)


# A folder of an earlier release: its superuser made everything.
_ROLES_OF_BEFORE: Final = f"""
DO $$ DECLARE v_name text; BEGIN
    FOR v_name IN
        SELECT r.rolname FROM pg_roles r WHERE r.rolname ^@ 'handrail_' AND r.rolname <> '{OWNER}'
          AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid AND m.admin_option
                          AND m.member = '{OWNER}'::regrole)
    LOOP
        EXECUTE format('GRANT %I TO {OWNER} WITH ADMIN TRUE', v_name);
    END LOOP;
END $$
"""
_HAND_OVER: Final = f"""
DO $$ DECLARE v_one record; BEGIN
    FOR v_one IN
        SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind,
            c.oid::regclass::text AS name
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
          AND c.relowner = '{_SUPERUSER}'::regrole
        UNION ALL
        SELECT 'FUNCTION', p.oid::regprocedure::text FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = '{_SUPERUSER}'::regrole
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO {OWNER}', v_one.kind, v_one.name);
    END LOOP;
END $$
"""
