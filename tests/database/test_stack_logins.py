"""A stack of one machine: each process has its own login, and the superuser is out of reach."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import psycopg
import pytest

from handrail.dev.confined_postgres import ConfinedPostgres
from handrail.dev.lock import StackLock, joined
from handrail.dev.postgres import DATABASE, EmbeddedPostgres
from handrail.dev.stack import Stack
from handrail.dev.supervisor import wait_until
from handrail.migrate import migrate
from handrail.migrations import upgrade
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ConfinedPostgres]:
    async with ConfinedPostgres(tmp_path / "postgres") as one:
        yield one


async def value(url: str, query: str) -> object:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        row = await (await connection.execute(query.encode())).fetchone()
        return row and row[0]


def superuser_by_tcp(server: EmbeddedPostgres) -> str:
    return EmbeddedPostgres.url_of(server, DATABASE)


async def test_the_superuser_is_reached_by_the_local_socket_with_its_password_alone(
    server: ConfinedPostgres,
) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        await value(superuser_by_tcp(server), "SELECT 1")

    by_socket = server._administrators_url(DATABASE)
    assert await value(by_socket, "SELECT current_setting('is_superuser')") == "on"
    password = (server.data_dir / "password").read_text()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await value(by_socket.replace(password, "guessed"), "SELECT 1")
    assert not await value(
        by_socket, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'"
    )


async def test_the_owner_is_no_superuser_and_migrates(server: ConfinedPostgres) -> None:
    migrate(server.url, "handrail_app", app=HANDRAIL)
    migrate(server.url, "handrail_app", app=HANDRAIL)

    assert await value(server.url, "SELECT current_setting('is_superuser')") == "off"
    owner = "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'append_events'"
    assert await value(server.url, owner) == "handrail_store"
    for file in ("password", "owner.password"):
        assert oct((server.data_dir / file).stat().st_mode)[-3:] == "600"


def capabilities(pid: int) -> int:
    [line] = [
        one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one[:6] == "CapPrm"
    ]
    return int(line.split()[1], 16)


MAY_PASS_THROUGH_FOLDERS = 1 << 2


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="handrail-open-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.thorough
async def test_a_server_keeps_no_right_of_root_who_starts_it(open_folder: Path) -> None:
    async with ConfinedPostgres(open_folder / "postgres") as server:
        assert psutil.Process(server.pid).uids().effective != 0
        assert capabilities(server.pid) == 0


@pytest.mark.thorough
async def test_in_a_folder_of_root_that_is_closed_it_may_pass_through_and_nothing_else(
    server: ConfinedPostgres,
) -> None:
    assert capabilities(server.pid) == (MAY_PASS_THROUGH_FOLDERS if os.geteuid() == 0 else 0)


@pytest.mark.thorough
async def test_a_folder_in_which_the_superuser_owned_everything_goes_on(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "postgres") as before:
        upgrade(before.url, "handrail_app", own=HANDRAIL.tables)
        await value(before.url, "SELECT append_events('[]', '[]', '{}', NULL)")

    async with ConfinedPostgres(tmp_path / "postgres") as server:
        migrate(server.url, "handrail_app", app=HANDRAIL)
        left = "SELECT count(*) FROM pg_class WHERE relowner = 'postgres'::regrole AND relnamespace"
        assert await value(server.url, f"{left} = 'public'::regnamespace") == 0
        assert await value(server.url, "SELECT maintain_partitions()") == 0


def environments() -> list[tuple[list[str], dict[str, str]]]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found.append((child.cmdline(), child.environ()))
    return found


@pytest.mark.journey
async def test_each_process_of_a_stack_has_a_login_of_its_own_and_knows_no_other(
    tmp_path: Path,
) -> None:
    settings = ShopSettings(data_dir=tmp_path, api_port=0)
    async with Stack(HANDRAIL, settings, notifiers=1, consumers=True, temporal_ui=False) as stack:
        assert isinstance(stack.postgres, ConfinedPostgres)
        async with httpx.AsyncClient() as client:  # the API connects when it is asked
            assert (await client.get(f"{stack.api_url}/orders")).status_code == 200
        administrator = stack.postgres._administrators_url(DATABASE)
        users = (
            "SELECT string_agg(DISTINCT usename, ' ') FROM pg_stat_activity"
            " WHERE usename ^@ 'handrail_'"
        )
        logins = await value(administrator, users)
        secrets = [
            (stack.postgres.data_dir / file).read_text() for file in ("password", "owner.password")
        ]
        passwords = dict(one.split("=", 1) for one in stack.settings.database_passwords)
        known = {
            " ".join(command[-3:]): [
                role
                for role, password in [*passwords.items(), *enumerate(secrets)]
                if any(password in value for value in environment.values())
            ]
            for command, environment in environments()
        }
        said = (stack.postgres.data_dir / "server.log").read_text()

    assert sorted(str(logins).split()) == [
        "handrail_api",
        "handrail_consumer_finance",
        "handrail_consumer_logistics",
        "handrail_consumer_notifications",
        "handrail_notifier",
        "handrail_projector",
        "handrail_worker",
    ]
    assert sorted(str(one) for those in known.values() for one in those) == [
        "api",
        "consumer:finance",
        "consumer:logistics",
        "consumer:notifications",
        "notifier",
        "projector",
        "worker",
    ]
    assert all(len(those) <= 1 for those in known.values()), known
    assert [line for line in said.splitlines() if "permission denied" in line] == []
    assert await wait_until(lambda: not list((tmp_path / "postgres").glob("socket")), seconds=5)


def test_a_command_for_another_database_takes_no_login_of_the_stack_that_runs(
    tmp_path: Path,
) -> None:
    lock = StackLock(tmp_path)
    lock.acquire()
    theirs = {
        "database_url": "postgresql://handrail_operator:o@127.0.0.1:1/handrail",
        "migration_database_url": "postgresql://handrail_owner:w@127.0.0.1:1/handrail",
        "database_passwords": ["worker=w"],
    }
    lock.describe(theirs)
    try:
        ours = "postgresql://me:mine@elsewhere/other"
        other = joined(ShopSettings(data_dir=tmp_path, database_url=ours))
        same = joined(ShopSettings(data_dir=tmp_path))
    finally:
        lock.release()

    assert (other.database_url, other.owner_url, other.database_passwords) == (ours, ours, ())
    assert same.owner_url == theirs["migration_database_url"]
    assert same.database_url_of("worker") == ("postgresql://handrail_worker:w@127.0.0.1:1/handrail")
