"""`handrail sagas`, as an operator types it, against a real API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from getpass import getuser
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from handrail.cli.api_client import api_url
from handrail.cli.saga_tables import show_items
from handrail.dev.lock import StackLock
from handrail.dev.supervisor import free_port
from handrail.personal import is_sealed
from handrail.settings import Settings
from runtime.app import HANDRAIL
from tests.api import conftest as served
from tests.api.conftest import House
from tests.api.shop import Shop, open_shop, place, settled
from tests.runtime.conftest import Spawn

pytestmark = pytest.mark.journey

house = served.house
UNDELIVERABLE = "addr_undeliverable"


@dataclass
class Said:
    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


Says = Callable[..., Awaitable[Said]]


@pytest.fixture
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Whose sagas park soon."""
    async with house.api(deadline_seconds=0.5, patience_seconds=0.5) as client:
        yield client


@pytest.fixture
async def shop(api: httpx.AsyncClient) -> Shop:
    return await open_shop(api)


@pytest.fixture
def sagas(api: httpx.AsyncClient, handrail: Spawn) -> Says:
    async def say(*arguments: str) -> Said:
        return await typed(handrail, *arguments, api_url=str(api.base_url))

    return say


async def typed(handrail: Spawn, *arguments: str, **settings: str) -> Said:
    process = await handrail("sagas", *arguments, **settings)
    out, error = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), error.decode())


async def parked(api: httpx.AsyncClient, shop: Shop, **means: str) -> str:
    means = means or {"ship_to": UNDELIVERABLE}
    saga: str = (await place(api, shop, wait=None, **means)).json()["saga"]
    await settled(api, saga, "parked")
    return saga


async def resumed(house: House, saga: str) -> list[dict[str, Any]]:
    """Its interventions, with their personal texts opened: the store has those sealed."""
    found = await house.sql(
        "SELECT data FROM events WHERE stream = %s AND type = 'SagaResumed' ORDER BY version",
        f"saga-{saga}",
    )
    assert all(is_sealed(data["reason"]) for (data,) in found)
    return [await house.personal.open(data) for (data,) in found]


async def test_a_parked_saga_is_found_looked_at_and_put_right(
    house: House, api: httpx.AsyncClient, shop: Shop, sagas: Says
) -> None:
    saga = await parked(api, shop)
    listed = await sagas("list", "--status", "parked", "--merchant", shop.merchant, "--json")
    assert (listed.code, [one["saga"] for one in listed.json["sagas"]]) == (0, [saga])
    shown = await sagas("show", saga)
    assert shown.code == 0
    assert "BookShipment (do) is parked" in shown.out
    assert "SagaParked" in shown.out
    moved = ("--set", "ship_to=addr_ok", "--reason", "the customer has moved")
    corrected = await sagas("correct", saga, *moved, "--json")
    assert corrected.code == 0, corrected.error
    assert corrected.json["saga"] == saga
    assert (await settled(api, saga))["status"] == "completed"
    [told] = await resumed(house, saga)
    assert (told["kind"], told["actor"]) == ("correct", getuser())
    assert told["reason"] == "the customer has moved"
    assert json.loads(told["correction"])["ship_to"] == {"was": UNDELIVERABLE, "is": "addr_ok"}


async def test_the_figures_of_all_types_are_shown(
    api: httpx.AsyncClient, shop: Shop, sagas: Says
) -> None:
    await parked(api, shop)
    counted = await sagas("figures", "--json")
    assert counted.code == 0, counted.error
    [checkouts] = [one for one in counted.json["types"] if one["saga_type"] == "Checkout"]
    [stuck] = [one for one in checkouts["steps"] if one["step"] == "BookShipment"]
    assert checkouts["parked"] >= stuck["parked_now"] >= 1
    shown = await sagas("figures")
    assert "Checkout" in shown.out
    assert "BookShipment" in shown.out


async def test_a_refusal_is_one_line_with_what_to_do_and_ends_with_1(
    house: House, api: httpx.AsyncClient, shop: Shop, sagas: Says
) -> None:
    saga = await parked(api, shop)
    refused = await sagas("compensate", saga, "--reason", "never mind", "--json")
    assert refused.code == 1
    assert refused.json["problem"] == "too-late"
    [line] = refused.error.splitlines()
    assert "the pivot was done" in line
    assert "new process" in line
    unknown = await sagas("retry", "nothing", "--reason", "any")
    assert (unknown.code, len(unknown.error.splitlines())) == (1, 1)
    assert "there is no saga nothing" in unknown.error
    assert await resumed(house, saga) == []


@pytest.mark.parametrize(
    "wrong",
    [
        ("retry", "--reason", "any"),
        ("retry", "ord-1"),
        ("retry", "ord-1", "--merchant", "m", "--reason", "any"),
        ("skip", "ord-1", "--reason", "any"),
        ("correct", "ord-1", "--set", "ship_to", "--reason", "any"),
        ("explain", "Chekout"),
    ],
)
async def test_a_wrong_command_ends_with_2_and_says_what_is_wrong(
    handrail: Spawn, wrong: tuple[str, ...]
) -> None:
    said = await typed(handrail, *wrong)
    assert said.code == 2
    assert said.out + said.error
    assert "Traceback" not in said.error


async def test_many_are_looked_at_first_and_then_told_with_a_result_for_each(
    house: House, api: httpx.AsyncClient, shop: Shop, sagas: Says
) -> None:
    each = {await parked(api, shop) for _ in range(2)}
    refusing = await parked(api, shop, card="card_capture_broken")
    wish = ("skip", "--merchant", shop.merchant, "--reason", "by hand", "--evidence", "ticket 8")
    dry = await sagas(*wish, "--dry-run", "--json")
    assert (dry.code, dry.json["dry_run"]["count"]) == (0, 3)
    assert [await resumed(house, saga) for saga in each] == [[], []]

    done = await sagas(*wish, "--json", "--actor", "ops@example.com")
    assert done.code == 1, done.error  # one of them refused
    results = {one["saga"]: one["status"] for one in done.json["items"]}
    assert results == {**dict.fromkeys(each, "accepted"), refusing: "refused"}
    assert "2 accepted, 1 refused" in done.error
    for saga in each:
        [told] = await resumed(house, saga)
        assert (told["actor"], told["evidence"]) == ("ops@example.com", "ticket 8")

    back = ("compensate", "--merchant", shop.merchant, "--reason", "no such payment")
    taken = await sagas(*back)
    assert taken.code == 0, taken.error
    assert "1 accepted" in taken.out
    assert (await settled(api, refusing))["status"] == "compensated"


async def test_what_is_no_intervention_is_told_to_many_one_by_one(
    api: httpx.AsyncClient, shop: Shop, sagas: Says, house: House
) -> None:
    gone, stays = await parked(api, shop), await parked(api, shop)
    await house.temporal.get_workflow_handle(gone).terminate("by mistake")
    again = ("again", "--merchant", shop.merchant, "--reason", "by mistake", "--json")
    dry = await sagas(*again, "--dry-run")
    assert (dry.code, dry.json["dry_run"]["count"]) == (0, 2)
    done = await sagas(*again)
    assert done.code == 1
    results = {one["saga"]: one["status"] for one in done.json["items"]}
    assert results == {gone: "accepted", stays: "refused"}


async def test_without_an_api_it_says_where_it_looked(handrail: Spawn) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    away = await typed(handrail, "list", api_url=address)
    assert away.code == 1
    assert address in away.error
    assert "Traceback" not in away.error
    nowhere = await typed(handrail, "list")
    assert nowhere.code == 2
    assert nowhere.error.startswith("HANDRAIL_API_URL: ")


def test_what_is_to_be_copied_is_whole_and_no_text_is_markup() -> None:
    saga, step = f"ord-{'a' * 24}", "AuthoriseDownPayment"
    said = "no definite answer [/bookings ord-1: HTTP 500]"
    narrow = Console(width=70, record=True, file=StringIO())
    show_items(narrow, [{"saga": saga, "step": step, "status": "refused", "said": said}])
    shown = narrow.export_text()
    assert saga in shown
    assert step in shown
    assert "[/bo" in shown


def test_the_api_is_that_of_the_stack_that_runs_on_the_folder(tmp_path: Path) -> None:
    lock = StackLock(tmp_path)
    lock.acquire()
    try:
        lock.describe({"api_url": "http://127.0.0.1:4711"})
        assert api_url(Settings(data_dir=tmp_path)) == "http://127.0.0.1:4711"
        named = Settings(data_dir=tmp_path, api_url="http://api.example")
        assert api_url(named) == "http://api.example"
    finally:
        lock.release()


async def test_every_type_of_saga_is_explained_without_a_server(handrail: Spawn) -> None:
    listed = await typed(handrail, "explain", "--json")
    assert listed.json["types"].keys() == HANDRAIL.saga_types.keys()
    explained = await asyncio.gather(
        *(typed(handrail, "explain", name, "--json") for name in HANDRAIL.saga_types)
    )
    for said, one in zip(explained, HANDRAIL.saga_types.values(), strict=True):
        assert said.code == 0, said.error
        assert [step["step"] for step in said.json["steps"]] == list(one.example().names)
    drawn = await typed(handrail, "explain", "Checkout", "--mermaid")
    assert "flowchart LR" in drawn.out
