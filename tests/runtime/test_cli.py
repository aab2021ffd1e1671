from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from handrail.settings_table import settings_table
from runtime.app import HANDRAIL
from tests.runtime.conftest import Spawn

Appears = Callable[[Path], Awaitable[None]]


@pytest.mark.quick(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_told_to_end_says_so_and_exits_0(
    number: signal.Signals, tmp_path: Path, console_script: Spawn, appears: Appears
) -> None:
    ready = tmp_path / "ready"
    process = await console_script("bank", log_format="json", ready_file=str(ready))
    await appears(ready)
    async with httpx.AsyncClient() as http:
        assert (await http.get(ready.read_text())).status_code < 500

    process.send_signal(number)
    out, error = await process.communicate()

    assert process.returncode == 0
    assert out == b""
    lines = [json.loads(line) for line in error.decode().splitlines()]
    assert [line["message"] for line in lines if line["logger"].startswith(("handrail", "runtime"))]
    assert {line["process"] for line in lines} == {"bank"}
    assert lines[-1]["message"] == "stopped"


@pytest.mark.thorough
async def test_the_mark_of_an_earlier_run_does_not_count(tmp_path: Path, handrail: Spawn) -> None:
    ready = tmp_path / "ready"
    ready.write_text("long ago")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await handrail("carrier", "--port", port, ready_file=str(ready))
        _, error = await process.communicate()

    assert process.returncode == 1
    assert error.decode() == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert not ready.exists()


async def test_a_bad_setting_stops_every_command(handrail: Spawn) -> None:
    process = await handrail("up", api_port="many")

    out, error = await process.communicate()

    assert process.returncode == 2
    assert out == b""
    assert error.decode().startswith("HANDRAIL_API_PORT: ")
    assert b"Traceback" not in error


async def test_migrate_says_which_address_it_needs(handrail: Spawn) -> None:
    process = await handrail("migrate")

    _, error = await process.communicate()

    assert process.returncode == 2
    assert error.decode().startswith("HANDRAIL_DATABASE_URL: ")


async def test_settings_prints_the_table(handrail: Spawn) -> None:
    process = await handrail("settings")

    out, _ = await process.communicate()

    assert process.returncode == 0
    assert out.decode() == settings_table(HANDRAIL.settings_type) + "\n"


async def test_check_makes_every_part_of_the_app_and_counts_them(handrail: Spawn) -> None:
    process = await handrail("check")

    out, error = await process.communicate()

    assert (process.returncode, error) == (0, b"")
    assert re.fullmatch(
        rf"{len(HANDRAIL.contexts)} contexts, {len(HANDRAIL.saga_types)} sagas, .+: no mistake\n",
        out.decode(),
    )


@pytest.mark.parametrize("command", ["check", "worker"])
async def test_a_part_that_a_function_makes_wrongly_ends_the_command_that_needs_it(
    handrail: Spawn, tmp_path: Path, command: str
) -> None:
    (tmp_path / "doubled.py").write_text(
        "from handrail.app import App\n"
        "def sagas():\n"
        "    from workflows import checkout\n"
        "    return (checkout.SAGA, checkout.SAGA)\n"
        "DOUBLED = App(contexts=[], sagas=sagas)\n"
    )
    process = await handrail(
        command,
        app="doubled:DOUBLED",
        database_url="postgresql://nobody@127.0.0.1:1/none",
        temporal_address="127.0.0.1:1",
    )

    out, error = await process.communicate()

    assert (process.returncode, out) == (2, b"")
    assert "two sagas are named Checkout: rename one of them" in error.decode()
    assert b"Traceback" not in error


async def test_an_unknown_command_is_an_error(handrail: Spawn) -> None:
    process = await handrail("fly")

    await process.communicate()

    assert process.returncode not in {0, None}


@pytest.mark.parametrize(
    "typed",
    [
        ("notifications", "retry", "--reason", "x" * 501),
        ("notifications", "discard", "--reason", "none", "--actor", "Ann B"),
        ("campaign", "stop", "a b", "--reason", "none"),
        ("consumers", "retry", "finance", "order-1", "--reason", ""),
        ("sagas", "retry", "ord-1", "--reason", "two\nlines"),
    ],
    ids=["long", "a name", "a space", "empty", "lines"],
)
async def test_what_is_stored_of_what_an_operator_types_is_bounded(
    handrail: Spawn, typed: tuple[str, ...]
) -> None:
    process = await handrail(*typed)

    out, error = await process.communicate()

    assert process.returncode not in {0, None}
    assert "Invalid value" in (out + error).decode()
    assert b"Traceback" not in error
