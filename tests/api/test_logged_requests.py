"""No level of the log has what a request says of a person, or signs in with."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import orjson
import pytest
import structlog
from aiohttp import web
from pydantic import BaseModel
from sqlalchemy import exc, text

from tests.api.conftest import House
from tests.api.shop import problem
from tests.api.test_process import address_of
from tests.projections.world import until

NAME, MAIL, SECRET = "Canary-Lovelace", "canary@example.org", "hr_canary0_canarysecret"
CANARIES: Final = ("canary", "Canary")


@asynccontextmanager
async def an_api(house: House, folder: Path, level: str) -> AsyncIterator[tuple[str, Path]]:
    """Its address, and the file of its log."""
    log, ready = folder / "log", folder / "ready"
    clean = {name: one for name, one in os.environ.items() if not name.startswith("HANDRAIL_")}
    own = {
        "HANDRAIL_DATABASE_URL": house.database,
        "HANDRAIL_DATABASE_ROLE": "handrail_api",
        "HANDRAIL_TEMPORAL_ADDRESS": address_of(house),
        "HANDRAIL_API_PORT": "0",
        "HANDRAIL_AUTH": "development",
        "HANDRAIL_LOG_LEVEL": level,
        "HANDRAIL_LOG_FORMAT": "json",
        "HANDRAIL_READY_FILE": str(ready),
        "HANDRAIL_SUBJECT_KEYS_FILE": os.environ["HANDRAIL_SUBJECT_KEYS_FILE"],
    }
    with log.open("wb") as to:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "handrail.cli.main", "api", env=clean | own, stderr=to
        )
    try:

        async def is_ready() -> bool:
            assert process.returncode is None, log.read_text()
            return ready.exists() and bool(ready.read_text())

        await until(is_ready, seconds=60)
        yield ready.read_text(), log
    finally:
        process.terminate()
        await process.wait()


async def asks(address: str) -> None:
    headers = {"Authorization": f"Bearer {SECRET}", "Cookie": f"handrail={SECRET}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
        await client.get("/sagas", params={"tenant": NAME, "q": MAIL})
        await client.get("/sagas", params={"limit": "1"})
        await client.get("/orders/order-17")
        await client.get(f"/customers/{MAIL}", params={"as_of": NAME})
        await client.get(f"/{MAIL}/{NAME}")
        await client.put("/customers/c-1/contact", json={"name": NAME, "mail": MAIL})
        await client.post("/orders", content=f'{{"name": "{NAME}", ')


@pytest.mark.quick(1)
@pytest.mark.parametrize("level", ["debug", "info", "error"])
async def test_a_request_is_logged_without_what_it_says_of_a_person(
    house: House, tmp_path: Path, level: str
) -> None:
    async with an_api(house, tmp_path, level) as (address, log):
        await asks(address)
    said = log.read_text()
    assert [one for one in said.splitlines() if any(bird in one for bird in CANARIES)] == []
    lines = [orjson.loads(one) for one in said.splitlines()]
    answered = [
        (one["method"], one["path"], one["query"], one["status"])
        for one in lines
        if one["message"] == "request answered"
    ]
    if level != "debug":
        assert answered == []
        return
    assert ("GET", "/sagas", ["limit"], 200) in answered
    assert ("GET", "unmatched", [], 404) in answered
    assert ("GET", "/orders/{order}", [], 404) in answered
    assert len(answered) == 7


CALLING = """
import asyncio, sys
import httpx
from handrail import logs
from handrail.settings import Settings
logs.configure(Settings(log_level="debug"), "test")

async def call():
    async with httpx.AsyncClient() as client:
        await client.post(sys.argv[1] + "?mail=canary", json={"name": "canary"},
                          headers={"Authorization": "Bearer canary"})
asyncio.run(call())
"""


async def test_a_call_to_another_company_is_logged_without_its_query_and_what_libraries_send() -> (
    None
):
    async def answer(_: web.Request) -> web.Response:
        return web.Response(headers={"Set-Cookie": "session=canary"})

    app = web.Application()
    app.router.add_post("/pay", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        said = await asyncio.to_thread(_ran, f"http://canary:canary@{host}/pay")
    finally:
        await runner.cleanup()
    assert f"HTTP Request: POST http://{host}/pay" in said
    assert "canary" not in said


def _ran(address: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", CALLING, address], capture_output=True, text=True, check=True
    ).stderr


async def test_a_request_that_fails_is_logged_without_the_value_that_was_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Contact(BaseModel):
        mail: int

    async def fails(_: object) -> object:
        return Contact.model_validate({"mail": MAIL})

    monkeypatch.setattr("handrail.http.routes.operations.readiness", fails)
    with structlog.testing.capture_logs() as logs:
        async with house.api() as api:
            problem(await api.get("/readyz"), 500, "internal-error")
    [said] = [one["exception"] for one in logs if one["event"] == "request failed"]
    assert "Input should be a valid integer" in said
    assert "input_value=…, input_type=str" in said
    assert MAIL not in said


async def test_an_error_of_the_database_does_not_say_what_was_asked_with(house: House) -> None:
    async with house.engine.connect() as connection:
        with pytest.raises(exc.DBAPIError, match="division by zero") as failed:
            await connection.execute(text("SELECT CAST(:mail AS text), 1 / 0"), {"mail": MAIL})
    assert MAIL not in str(failed.value)
