from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import psycopg
import pytest

from handrail.dev.postgres import EmbeddedPostgres, PostgresAlreadyRunning, closed_to_others
from handrail.dev.supervisor import wait_until

pytestmark = pytest.mark.thorough


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with EmbeddedPostgres(tmp_path / "postgres") as server:
        yield server


async def answer(server: EmbeddedPostgres, query: str) -> object:
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
        row = await (await connection.execute(query)).fetchone()
        assert row is not None
        return row[0]


async def test_what_was_committed_survives_a_kill_and_the_port_stays(
    server: EmbeddedPostgres,
) -> None:
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE fact AS SELECT 42 AS answer")
        url, pid = server.url, server.pid

        await server.kill()

        with pytest.raises(psycopg.OperationalError):
            await connection.execute("SELECT 1")
    await server.start()
    assert server.pid != pid
    assert server.url == url
    assert await answer(server, "SELECT answer FROM fact") == 42


async def test_a_stop_leaves_no_process_and_the_next_start_finds_the_data(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path / "postgres")
    await first.start()
    async with await psycopg.AsyncConnection.connect(first.url) as connection:
        await connection.execute("CREATE TABLE fact AS SELECT 42 AS answer")
    family = [psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)]

    await first.stop()

    assert await wait_until(lambda: not any(each.is_running() for each in family), seconds=5)
    async with EmbeddedPostgres(tmp_path / "postgres") as second:
        assert await answer(second, "SELECT answer FROM fact") == 42


async def test_it_keeps_its_promises_and_its_distance(server: EmbeddedPostgres) -> None:
    assert await answer(server, "SHOW fsync") == "on"
    assert await answer(server, "SHOW synchronous_commit") == "on"
    assert await answer(server, "SHOW full_page_writes") == "on"
    assert await answer(server, "SHOW listen_addresses") == "127.0.0.1"


async def test_nobody_gets_in_without_the_password(server: EmbeddedPostgres) -> None:
    password = psycopg.conninfo.conninfo_to_dict(server.url)["password"]

    with pytest.raises(psycopg.OperationalError, match="password"):
        await psycopg.AsyncConnection.connect(server.url.replace(f":{password}@", ":wrong@"))
    assert oct((server.data_dir / "password").stat().st_mode)[-3:] == "600"


async def test_a_second_server_on_the_same_folder_says_who_is_there(
    server: EmbeddedPostgres,
) -> None:
    with pytest.raises(PostgresAlreadyRunning, match=f"pid {server.pid}, port {server.port}"):
        await EmbeddedPostgres(server.data_dir, patience=0).start()


async def test_a_folder_half_made_by_a_crash_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres" / "cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18")

    async with EmbeddedPostgres(tmp_path / "postgres") as server:
        assert await answer(server, "SELECT 1") == 1


def test_a_folder_that_other_users_may_not_enter_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "open" / "closed" / "bin"
    folder.mkdir(parents=True)
    tmp_path.chmod(0o755)
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "open" / "closed").chmod(0o700)
    found = closed_to_others(folder / "initdb")
    above = closed_to_others(tmp_path)
    assert found == (above or tmp_path / "open" / "closed")
