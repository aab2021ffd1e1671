"""`handrail database roles`, for owners that may make roles and for owners that may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from handrail.cli.database_commands import NoPassword, passwords_in, print_sql, roles
from handrail.dev.postgres import EmbeddedPostgres
from handrail.migrate import migrate
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.database.logins import ROLES

OWNER = "an_owner"


@asynccontextmanager
async def owned(postgres: EmbeddedPostgres, attributes: str) -> AsyncIterator[ShopSettings]:
    """A new database of somebody who is no superuser, with a prefix that has no roles yet."""
    name = f"owned_{uuid4().hex[:8]}"
    connect = psycopg.AsyncConnection.connect
    async with await connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD 'o' {attributes}".encode())
        await admin.execute(f"CREATE DATABASE {name} OWNER {OWNER}".encode())
        url = f"postgresql://{OWNER}:o@127.0.0.1:{postgres.port}/{name}"
        yield ShopSettings(
            database_url=url, database_role="", database_role_prefix=f"t_{uuid4().hex[:8]}"
        )
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        made = await admin.execute(
            "SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE rolname ~ '^t_'"
        )
        [(names,)] = await made.fetchall()
        if names:
            await admin.execute(f"DROP ROLE {names}".encode())
        await admin.execute(f"DROP ROLE {OWNER}".encode())


async def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def with_files(folder: Path, **passwords: str) -> Path:
    for name, password in passwords.items():
        (folder / name.replace("_", "-")).write_text(f"{password}\n")
    return folder


async def test_an_owner_with_createrole_makes_all_roles_and_a_process_logs_in(
    postgres: EmbeddedPostgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_files(tmp_path, worker="w/1", consumer_finance="f", api="a")
    async with owned(postgres, "CREATEROLE") as settings:
        prefix = settings.database_role_prefix
        url = str(settings.database_url)
        assert await asyncio.to_thread(roles, HANDRAIL, settings, None) == 0
        await asyncio.to_thread(migrate, url, "", app=HANDRAIL, prefix=prefix)
        capsys.readouterr()

        assert await asyncio.to_thread(roles, HANDRAIL, settings, folder) == 0
        said = await lines(capsys)
        known = settings.model_copy(update={"database_passwords": ("worker=w/1",)})
        async with await psycopg.AsyncConnection.connect(
            str(known.database_url_of("worker"))
        ) as worker:
            await worker.execute("SELECT append_events('[]', '[]', '{}', NULL)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await worker.execute("DELETE FROM commands")

    assert said == [
        f"ALTER ROLE {prefix}_api PASSWORD …;",
        f"ALTER ROLE {prefix}_worker PASSWORD …;",
        f"ALTER ROLE {prefix}_consumer_finance PASSWORD …;",
    ]


async def test_what_is_as_declared_is_not_done_again(
    postgres: EmbeddedPostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    async with owned(postgres, "CREATEROLE") as settings:
        url, prefix = str(settings.database_url), settings.database_role_prefix
        await asyncio.to_thread(migrate, url, "", app=HANDRAIL, prefix=prefix)
        capsys.readouterr()
        assert await asyncio.to_thread(roles, HANDRAIL, settings, None) == 0
    assert await lines(capsys) == ["-- nothing to do"]


async def test_an_owner_that_may_make_no_roles_is_given_the_sql_for_a_dba(
    postgres: EmbeddedPostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    async with owned(postgres, "") as settings:
        url, prefix = str(settings.database_url), settings.database_role_prefix
        await asyncio.to_thread(migrate, url, "", app=HANDRAIL, prefix=prefix)
        capsys.readouterr()

        assert await asyncio.to_thread(roles, HANDRAIL, settings, None) == 1
        said = await lines(capsys)
        assert any("a DBA runs" in line for line in said)

        assert await asyncio.to_thread(print_sql, HANDRAIL, settings) == 0
        by_a_dba = "\n".join(await lines(capsys))
        async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as dba:
            await dba.execute(by_a_dba.encode())
        assert await asyncio.to_thread(roles, HANDRAIL, settings, None) == 0
        async with await psycopg.AsyncConnection.connect(url) as owner:
            found = await owner.execute(
                "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'append_events'"
            )
            assert await found.fetchone() == (f"{prefix}_store",)


def test_a_folder_without_a_password_says_which_files_there_may_be(tmp_path: Path) -> None:
    with pytest.raises(NoPassword, match=r"there may be api, worker, .*consumer-notifications"):
        passwords_in(tmp_path, ROLES)


@pytest.mark.parametrize("text", ["", "\n", "a" * 1025])
def test_a_file_without_a_password_of_a_size_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "worker").write_text(text)
    with pytest.raises(NoPassword, match="worker: the first line has to be a password"):
        passwords_in(tmp_path, ROLES)
