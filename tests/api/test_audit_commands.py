"""`handrail events` and `handrail blame`, against an API that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import cyclopts
import httpx
import pytest

from handrail.cli.app_commands import name_tenant_options
from handrail.cli.blame import blame
from handrail.cli.events import events
from tests.api.shop import Shop, place, settled

Run = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def run(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("HANDRAIL_API_URL", str(api.base_url))
    monkeypatch.setenv("COLUMNS", "80")
    cli = cyclopts.App()
    name_tenant_options(cli, "merchant")
    cli.command(events, name="events")
    cli.command(blame, name="blame")

    async def command(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(
            cli, words, exit_on_error=False, result_action="return_value"
        )
        return int(code), capsys.readouterr().out

    return command


@pytest.fixture
async def order(api: httpx.AsyncClient, shop: Shop) -> str:
    saga = (await place(api, shop)).json()["saga"]
    await settled(api, saga)
    return str(saga)


async def test_events_are_listed_in_80_columns(run: Run, order: str) -> None:
    code, out = await run("events", "search", "--saga", order, "--type", "OrderPlaced")
    assert code == 0
    assert f"order-{order}/1" in out
    assert "1 event" in out
    assert max(map(len, out.splitlines())) <= 80


async def test_events_are_found_by_the_word_of_the_tenant(run: Run, order: str, shop: Shop) -> None:
    code, out = await run(
        *("events", "search", "--merchant", shop.merchant, "--type", "OrderPlaced", "--json")
    )
    found: list[Any] = json.loads(out.splitlines()[-1])["events"]
    assert (code, [one["id"] for one in found]) == (0, [f"order-{order}/1"])


async def test_where_nothing_is_found_the_exit_code_says_so(run: Run) -> None:
    code, out = await run("events", "search", "--saga", "none")
    assert (code, "0 events" in out) == (1, True)


async def test_causes_are_a_tree_that_marks_the_event(run: Run, order: str) -> None:
    code, out = await run("events", "causes", f"order-{order}/1")
    lines = out.splitlines()
    assert (code, lines[0]) == (0, order)
    marked = [one for one in lines[:-1] if "▶" in one]
    assert marked == [one for one in lines if f" order-{order}/1 " in one]
    assert any("↑ SagaStarted" in one for one in lines)


async def test_blame_names_the_event_of_each_field(run: Run, order: str) -> None:
    code, out = await run("blame", "orders", order, "--json")
    fields = {one["field"]: one for one in json.loads(out.splitlines()[-1])["fields"]}
    assert code == 0
    assert fields["customer"]["set_by"]["id"] == f"order-{order}/1"
    assert await run("blame", f"/orders/{order}", "--json") == (0, out)


async def test_blame_of_what_is_not_there_says_so(run: Run) -> None:
    code, _ = await run("blame", "orders", "none")
    assert code == 1
