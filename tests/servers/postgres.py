"""PostgreSQL servers of a test's own: standbys that are promoted, dumps that are restored, crashes.

They are the product's embedded ones, as `EmbeddedPostgres` knows them. Nobody's safety is switched
off: what is acknowledged is in the write-ahead log when a server is killed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

from handrail.cli import database_commands
from handrail.dev.postgres import DATABASE, EmbeddedPostgres, _program
from handrail.migrate import migrate
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings

ROLE = "handrail_app"
_DEADLINE = 30


@asynccontextmanager
async def a_server(folder: Path, **settings: str) -> AsyncIterator[EmbeddedPostgres]:
    """A new cluster, with an empty database. `settings` are those of PostgreSQL."""
    async with _running(EmbeddedPostgres(folder)) as server:
        if settings:
            await configure(server, **settings)
            await server.stop()
            await server.start()
        yield server


@asynccontextmanager
async def a_standby(primary: EmbeddedPostgres, folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A copy of the primary that streams from it, and has everything that it has by now."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    shutil.copy(primary.data_dir / "password", folder / "password")
    cluster = folder / "cluster"
    await _run(primary, "pg_basebackup", "-D", str(cluster), "-R", "-X", "stream", "-c", "fast")
    uid = primary._uid  # the one that servers run as
    for path in (folder, folder / "password", cluster, *cluster.rglob("*")):
        if uid >= 0:
            os.chown(path, uid, uid, follow_symlinks=False)
    cluster.chmod(0o700)
    async with _running(EmbeddedPostgres(folder)) as standby:
        await until(
            standby, "SELECT count(*) = 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'"
        )
        yield standby


async def cut_off(standby: EmbeddedPostgres) -> None:
    """From now on it gets nothing of what its primary does."""
    await configure(standby, primary_conninfo="")
    await until(standby, "SELECT count(*) = 0 FROM pg_stat_wal_receiver")


async def promote(standby: EmbeddedPostgres) -> None:
    assert await value(standby.url, "SELECT pg_promote(true, %s)", _DEADLINE)


async def fail_over(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
    """The primary is lost, and its standby takes over as it is."""
    await primary.kill()
    await promote(standby)


def whoever_writes(*servers: EmbeddedPostgres) -> str:
    """The URL that leads to the primary among them, as libpq finds it."""
    password = (servers[0].data_dir / "password").read_text()
    hosts = ",".join("127.0.0.1" for _ in servers)
    ports = ",".join(str(one.port) for one in servers)
    return (
        f"postgresql://postgres:{password}@/{DATABASE}?host={hosts}&port={ports}"
        "&target_session_attrs=read-write"
    )


async def dump(server: EmbeddedPostgres, to: Path) -> Path:
    await _run(server, "pg_dump", "-Fc", "-f", str(to), DATABASE)
    return to


async def restore(dumped: Path, server: EmbeddedPostgres) -> None:
    """Into the server's empty database, as `pg_restore` does it."""
    await sql(server.url, f"CREATE ROLE {ROLE} NOLOGIN")
    settings = ShopSettings(database_url=server.url)
    assert await asyncio.to_thread(database_commands.roles, HANDRAIL, settings, None) == 0
    await _run(server, "pg_restore", "-d", DATABASE, str(dumped))


async def migrated(server: EmbeddedPostgres) -> None:
    await asyncio.to_thread(migrate, server.url, ROLE, app=HANDRAIL)


async def configure(server: EmbeddedPostgres, **settings: str) -> None:
    """Settings that need no restart are in force at once."""
    for name, to in settings.items():
        await sql(server.url, f"ALTER SYSTEM SET {name} = '{to}'")
    await sql(server.url, "SELECT pg_reload_conf()")


async def use_numbers(url: str, count: int) -> None:
    """The cluster does something else, which takes transaction numbers."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS something_else (number int)")
        await connection.execute("SET synchronous_commit = off")
        for number in range(count):
            await connection.execute("INSERT INTO something_else VALUES (%s)", (number,))


async def sql(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        found = await connection.execute(statement.encode(), values or None)
        return await found.fetchall() if found.description else []


async def value(url: str, query: str, *values: Any) -> Any:
    [(found,)] = await sql(url, query, *values)
    return found


async def until(server: EmbeddedPostgres, condition: str) -> None:
    async with asyncio.timeout(_DEADLINE):
        while not await value(server.url, condition):  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.02)


@asynccontextmanager
async def _running(server: EmbeddedPostgres) -> AsyncIterator[EmbeddedPostgres]:
    await server.start()
    try:
        yield server
    finally:
        await server.kill()  # nobody needs its data


async def _run(server: EmbeddedPostgres, program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        _program(program), *("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"),
        *arguments,
        env={**os.environ, "PGPASSWORD": (server.data_dir / "password").read_text()},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
