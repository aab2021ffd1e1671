"""What operators and processes are told of a store that is on another server, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
import structlog

from domain.identifiers import OrderId
from handrail.connections import store_engine, store_pool
from handrail.processes.projector import run
from handrail.restore.boundary import store_of
from handrail.restore.commands import adopt
from handrail.settings import Settings
from runtime.app import HANDRAIL
from tests.projections.stories import Shop
from tests.projections.world import World, a_world, until
from tests.runtime.conftest import Spawn
from tests.servers.postgres import (
    a_server,
    configure,
    dump,
    migrated,
    restore,
    sql,
    use_numbers,
    value,
)

SENTENCE = "this is another store than the one of epoch 1"
WHAT_TO_DO = "handrail restore check"


@pytest.fixture
def database(database_with_read_models: str) -> str:
    return database_with_read_models


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with a_world(database) as world:
        yield world


async def _is_promoted(database: str) -> None:
    """As if the store had been on the timeline before: all connections are lost."""
    await sql(database, "UPDATE store_epochs SET timeline = 0")
    await sql(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def _ends(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, error = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), error.decode()


@pytest.mark.parametrize("command", [("projector",), ("consumer", "finance"), ("migrate",)])
async def test_a_process_that_starts_ends_with_the_sentence(
    handrail: Spawn, database: str, command: tuple[str, ...]
) -> None:
    await _is_promoted(database)

    code, out, error = await _ends(await handrail(*command, database_url=database))

    assert code == 1
    assert SENTENCE in error
    assert WHAT_TO_DO in error
    assert "Traceback" not in out + error


@pytest.mark.thorough
async def test_a_process_that_runs_says_it_once_and_goes_on_once_it_was_adopted(
    database: str,
) -> None:
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        process = asyncio.create_task(run(Settings(database_url=database), stop))

        async def has(event: str) -> bool:
            return any(one["event"] == event for one in logs)

        await until(lambda: has("ready"))
        await _is_promoted(database)
        await until(lambda: has("no connection"))
        await asyncio.sleep(1.5)  # time enough to say it again
        said = [one for one in logs if WHAT_TO_DO in str(one)]
        await sql(database, "SELECT adopt_store('the tests say so', 'tests')")
        async with a_world(database) as world:
            for stream, events in Shop().opens():
                await world.append(stream, *events)
            await until(lambda: world.seen_all("merchant_balance"), seconds=20)
            assert await world.value("SELECT count(*) FROM merchant_balance") == 1
        stop.set()
        await process

    assert [one["event"] for one in said] == ["no connection"]


async def test_a_promotion_is_adopted_by_a_process_that_may(database: str) -> None:
    stop = asyncio.Event()
    settings = Settings(database_url=database, new_timeline="adopt")
    process = asyncio.create_task(run(settings, stop))
    await _is_promoted(database)

    async def is_adopted() -> bool:
        return bool(await value(database, "SELECT max(epoch) = 2 FROM store_epochs"))

    await until(is_adopted)
    stop.set()
    await process


async def test_commits_are_as_the_settings_say_and_never_off(database: str) -> None:
    await sql(
        database, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',"
        " current_database()); END $$"
    )  # fmt: skip
    for chosen, is_ in ((None, "on"), ("remote_apply", "remote_apply")):
        settings = Settings(database_url=database, synchronous_commit=chosen)
        async with store_pool(settings, size=1, name="tests") as pool, pool.connection() as one:
            found = await (await one.execute("SHOW synchronous_commit")).fetchone()
            assert found == (is_,)
        async with store_engine(settings, size=1) as engine, engine.connect() as two:
            assert (await two.exec_driver_sql("SHOW synchronous_commit")).scalar_one() == is_


@pytest.mark.thorough
async def test_a_server_that_says_off_from_now_on_does_not_change_who_is_connected(
    tmp_path: Path,
) -> None:
    async with a_server(tmp_path / "server") as server:
        await migrated(server)
        settings = Settings(database_url=server.url)
        async with (
            await psycopg.AsyncConnection.connect(server.url, autocommit=True) as other,
            store_pool(settings, size=1, name="tests") as pool,
            pool.connection() as ours,
        ):
            await configure(server, synchronous_commit="off")

            async def is_off() -> bool:
                return await _commits(other) == "off"

            await until(is_off)
            assert await _commits(ours) == "on"


async def _commits(connection: psycopg.AsyncConnection[Any]) -> str:
    found = await (await connection.execute("SHOW synchronous_commit")).fetchall()
    return str(found[0][0])


@pytest.mark.thorough
async def test_a_restored_dump_is_checked_tried_and_adopted_and_then_everything_adds_up(
    handrail: Spawn, tmp_path: Path
) -> None:
    async with a_server(tmp_path / "old") as old:
        await migrated(old)
        await use_numbers(old.url, 3000)
        async with a_world(old.url) as world:
            shop = Shop()
            for stream, events in [*shop.opens(), *shop.sells(OrderId("1"))]:
                await world.append(stream, *events)
            await world.catch_up()
        dumped = await dump(old, tmp_path / "handrail.dump")
    async with a_server(tmp_path / "new") as new:
        await restore(dumped, new)
        settings = {"database_url": new.url}

        code, out, error = await _ends(await handrail("restore", "check", "--json", **settings))
        said = orjson.loads(out)
        assert code == 1
        assert WHAT_TO_DO in said["refused"]
        assert said["numbers_ahead"]
        assert any(one["of"] == "checkpoints" for one in said["around"])
        broader = [line for line in error.splitlines() if len(line) > 80]
        assert [line for line in broader if len(line.split()) > 1] == [], "but one long word"

        because = ("restore", "adopt", "--because", "the old server burned")
        code, out, _ = await _ends(await handrail(*because, "--json", **settings))
        assert (code, orjson.loads(out)["adopted"]) == (0, False)
        assert await value(new.url, "SELECT max(epoch) FROM store_epochs") == 1

        code, out, error = await _ends(await handrail(*because, "--yes", "--json", **settings))
        assert (code, orjson.loads(out)["epoch"]) == (0, 2), error

        code, out, error = await _ends(await handrail("restore", "check", "--json", **settings))
        said = orjson.loads(out)
        assert (code, said["all_is_well"]) == (0, True), error
        assert said["epochs"][-1]["cause"] == "the old server burned"
        async with a_world(new.url) as world:
            await world.catch_up()
        _, out, error = await _ends(await handrail("verify", "--json", **settings))
        holds = orjson.loads(out)["invariants"]
        # The story has no fence: that is what else it says.
        assert [name for name, held in holds.items() if not held] == ["steps_have_outcomes"], error


async def test_what_others_have_handled_and_the_store_has_lost_is_named(
    handrail: Spawn, database: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
        await owner.execute("INSERT INTO inbox (consumer, id) VALUES ('finance', 'payment-7/3')")
        await owner.execute(
            "INSERT INTO ledger_lines VALUES"
            " ('payment-7/3', 1, 'cash', '', 1, 'EUR', '', clock_timestamp())"
        )

    code, out, error = await _ends(
        await handrail("restore", "check", "--json", database_url=database)
    )

    assert code == 1
    said = [one["said"] for one in orjson.loads(out)["around"]]
    assert "finance has handled payment-7/3, which is not in the store" in said
    assert "finance has booked payment-7/3, which is not in the store" in said
    assert "payment-7/3" in error


async def test_a_store_that_is_the_one_it_was_is_not_adopted_by_mistake(
    handrail: Spawn, database: str
) -> None:
    code, out, _ = await _ends(
        await handrail("restore", "adopt", "--because", "why not", "--yes", database_url=database)
    )

    assert code == 1
    assert "there is nothing to adopt" in out


async def test_of_two_operators_who_adopt_at_once_one_begins_an_epoch_and_the_other_hears_of_it(
    database: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await sql(database, "UPDATE store_epochs SET timeline = 0")
    settings = Settings.model_validate({"database_url": database, "data_dir": tmp_path})

    async def adopts() -> int:
        return await adopt(
            settings,
            HANDRAIL.codec,
            because="the tests say so",
            by="ann",
            yes=True,
            same_server=False,
            json=False,
        )

    async def both_wait() -> bool:
        waiting = "SELECT count(*) = 2 FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
        return bool(await value(database, waiting, "events"))

    async with await psycopg.AsyncConnection.connect(database) as writer:
        await writer.execute("LOCK TABLE events IN ROW EXCLUSIVE MODE")
        both = asyncio.gather(adopts(), adopts())
        await until(both_wait)
        await writer.commit()

    assert sorted(await both) == [0, 1]
    assert "another process has begun epoch 2 meanwhile" in " ".join(
        capsys.readouterr().out.split()
    )
    assert await sql(database, "SELECT epoch FROM store_epochs ORDER BY epoch") == [(1,), (2,)]


async def test_what_was_done_in_an_epoch_that_the_store_does_not_have_may_be_lost(
    database: str,
) -> None:
    """A dump from before two failovers: tokens of the epochs since are known outside alone."""
    await sql(database, "SELECT begin_epoch('the tests say so', 'tests', 3)")
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
        store = await store_of(owner)

    boundary = store.boundary
    assert (boundary.epoch, sorted(boundary.known)) == (1, [1, 4])
    assert [epoch for epoch in range(1, 6) if boundary.is_behind(epoch)] == [1, 2, 3, 5]


async def test_a_store_of_the_release_before_is_adopted_before_it_is_migrated(
    handrail: Spawn, database: str
) -> None:
    await _is_promoted(database)
    body = await value(database, "SELECT pg_get_functiondef('begin_epoch'::regproc)")
    head, _, rest = body.partition("begin_epoch(p_cause text, p_by text, p_above integer)")
    await sql(database, "DROP FUNCTION begin_epoch(text, text, integer)")
    old = f"{head}adopt_store(p_cause text, p_by text){rest}".replace("p_above, 0", "0")
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
        await owner.execute(old.encode())

    code, out, error = await _ends(
        await handrail(
            "restore", "adopt", "--because", "a ticket", "--yes", "--json", database_url=database
        )
    )

    assert (code, orjson.loads(out)["epoch"]) == (0, 2), error
