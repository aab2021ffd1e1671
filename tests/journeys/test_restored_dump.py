"""A dump is restored while everything runs: refused, checked, adopted and verified by commands."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import pytest
from rich.console import Console

from handrail.dev.postgres import DATABASE, EmbeddedPostgres, _program
from handrail.dev.rabbitmq import is_installed
from handrail.dev.stack import Stack
from handrail.dev.temporal import server_program
from runtime.app import HANDRAIL
from runtime.demo import scenario
from runtime.demo.customers import SETTLED, Outcome, drive
from runtime.settings import ShopSettings
from tests.journeys.followers import (
    another_company,
    exporting,
    messages,
    nothing_more_is_written,
    stored,
    the_lake_is_the_store,
)
from tests.projections.world import a_world, until
from tests.servers.postgres import a_server, sql, value, whoever_writes

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(
        not is_installed(),
        reason="NOT TESTED: rabbitmq-server is not installed (apt-get install it)",
    ),
]

PROGRAM: Final = str(Path(sys.executable).with_name("handrail"))
WHAT_TO_DO: Final = "handrail restore check"
SENTENCE: Final = "this is another store than the one of epoch 1"


@asynccontextmanager
async def _stack(folder: Path, *servers: EmbeddedPostgres) -> AsyncIterator[Stack]:
    chosen = ShopSettings(
        data_dir=folder,
        database_url=whoever_writes(*servers),
        api_port=0,
        step_deadline_seconds=15,
        step_patience_seconds=60,
        lake_seconds=1,
    )
    stack = Stack(HANDRAIL, chosen, temporal_ui=False, consumers=True, broker=True, notifiers=1)
    async with stack, exporting(stack.settings):
        yield stack


async def _orders(stack: Stack, orders: int, prefix: str) -> Outcome:
    plan = scenario.make(orders=orders, merchants=3, faults=0, seed=orders, prefix=prefix)
    return await drive(stack.api_url, stack.database_url, plan, Console(stderr=True))


async def _ends(program: str, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """The exit code of a command, what it prints, and what it says beside that."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await asyncio.wait_for(process.communicate(), 180)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def _done(program: str, *arguments: str, **variables: str) -> None:
    code, _, error = await _ends(program, *arguments, **variables)
    assert code == 0, error


async def _of_postgres(program: str, server: EmbeddedPostgres, *arguments: str) -> None:
    at = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres")
    password = (server.data_dir / "password").read_text()
    await _done(_program(program), *at, *arguments, PGPASSWORD=password)


async def _told(stack: Stack, *arguments: str) -> tuple[int, dict[str, Any]]:
    """A command of ours, as an operator of the stack has it: its exit code, and its JSON."""
    code, out, error = await _ends(PROGRAM, *arguments, "--json", **stack.settings.environment())
    assert out, error
    said: dict[str, Any] = orjson.loads(out.splitlines()[-1])
    return code, said


async def _has_the_logins_of(old: EmbeddedPostgres, new: EmbeddedPostgres) -> None:
    """Whoever comes to either of them has one password."""
    password = (old.data_dir / "password").read_text()
    await sql(new.url, f"ALTER ROLE postgres PASSWORD '{password}'")
    (new.data_dir / "password").write_text(password)


async def test_a_restored_dump_is_refused_mended_by_commands_and_all_that_follows_it_is_right(
    tmp_path: Path,
) -> None:
    async with (
        a_server(tmp_path / "old") as old,
        a_server(tmp_path / "new") as new,
        _stack(tmp_path / "stack", old, new) as stack,
        another_company(stack) as company,
    ):
        await _has_the_logins_of(old, new)
        before = await _orders(stack, 15, "before-")
        dumped = str(tmp_path / "handrail.dump")
        await _of_postgres("pg_dump", old, "-Fc", "-f", dumped, DATABASE)
        lost = await _orders(stack, 6, "lost-")
        await old.kill()

        # Every process finds the new server meanwhile, empty and then half full.
        await _of_postgres("psql", new, "-d", DATABASE, "-c", "CREATE ROLE handrail_app NOLOGIN")
        await _done(PROGRAM, "database", "roles", HANDRAIL_DATABASE_URL=new.url)
        await _of_postgres("pg_restore", new, "-d", DATABASE, dumped)
        restored = await stored(new.url)

        of_the_stack = stack.settings.environment()
        for command in (("migrate",), ("projector",), ("relay",), ("lake", "export")):
            code, out, error = await _ends(PROGRAM, *command, **of_the_stack)
            assert (code, SENTENCE in error, WHAT_TO_DO in error) == (1, True, True), error
            assert "Traceback" not in out + error
        code, found = await _told(stack, "restore", "check")
        assert code == 1
        assert WHAT_TO_DO in found["refused"]
        assert {one["workflow"] for one in found["sagas"]} >= lost.started.keys()
        assert not {one["workflow"] for one in found["sagas"]} & before.started.keys()
        assert {id_.rpartition("/")[0] for id_ in found["lake"]["lost"]}

        adopt = ("restore", "adopt", "--because", "the old server burned")
        code, said = await _told(stack, *adopt)
        assert (code, said["adopted"]) == (0, False)
        assert await stored(new.url) == restored, "a dry run changes nothing"
        assert await value(new.url, "SELECT max(epoch) FROM store_epochs") == 1
        for saga in found["sagas"]:
            if saga["running"]:
                await _terminated(stack, saga["workflow"])
        code, said = await _told(stack, *adopt, "--yes")
        assert (code, said["epoch"]) == (0, 2)
        code, found = await _told(stack, "restore", "check")
        assert (found["refused"], found["around"]) == (None, [])

        await _the_api_answers(stack)
        after = await _orders(stack, 15, "after-")
        assert {one["status"] for one in after.sagas.values()} <= SETTLED
        assert list(after.feed_violations) == []
        await company.gets_all_of(new.url)
        await nothing_more_is_written(stack)
        await the_lake_is_the_store(stack.settings, new.url)
        told = await messages(new.url, stack.address_of("provider"))
        assert (told.due, Counter(told.sent) - Counter(told.carried)) == (0, Counter())
        async with a_world(new.url) as world:
            for model in HANDRAIL.read_models:
                assert await world.rows(model) == await world.folded(model)
        boards = {saga for (saga,) in await sql(new.url, "SELECT saga FROM saga_board")}
        assert boards >= before.started.keys() | after.started.keys()
        assert not boards & lost.started.keys()

        # Bank, carrier and Temporal know of what is lost, and would name it.
        code, out, error = await _ends(
            PROGRAM, "verify", "--feed", "--json",
            HANDRAIL_DATABASE_URL=new.url, HANDRAIL_LAKE_DIR=str(stack.settings.lake_folder),
        )  # fmt: skip
        report = orjson.loads(out.splitlines()[-1])["invariants"]
        assert {name: one for name, one in report.items() if one is not True} == {}, error
        assert code == 0


async def _terminated(stack: Stack, workflow: str) -> None:
    """As the advice says."""
    address = ("--address", stack.temporal_address)
    space = ("--namespace", stack.settings.temporal_namespace)
    reason = ("--reason", "lost with the old server")
    code, _, error = await _ends(
        server_program(), "workflow", "terminate", "-w", workflow, *reason, *address, *space
    )
    assert code == 0 or "completed" in error, error


async def _the_api_answers(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=10) as client:

        async def is_ready() -> bool:
            with suppress(httpx.HTTPError):
                return (await client.get("/readyz")).is_success
            return False

        await until(is_ready, seconds=60)
