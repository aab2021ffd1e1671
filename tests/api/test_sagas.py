"""Sagas: the board, and live events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx
import pytest

from tests.api.conftest import House
from tests.api.shop import A_LONG_TIME, Shop, place, problem, settled


async def test_the_board_tells_the_whole_story(api: httpx.AsyncClient, shop: Shop) -> None:
    saga = (await place(api, shop)).json()["saga"]
    found = await settled(api, saga)
    assert (found["saga_type"], found["merchant"]) == ("Checkout", shop.merchant)
    assert found["at_stake"] == {"amount": 100_00, "currency": "EUR"}
    assert found["decision"] == "approved"
    assert found["links"]["temporal_ui"] == f"http://ui.example/namespaces/default/workflows/{saga}"
    told = [one["what"] for one in found["timeline"]]
    assert told[0] == "SagaStarted"
    assert told[-1] == "SagaEnded"
    steps = [one["step"] for one in found["timeline"] if one["what"] == "StepDone"]
    assert steps[0] == "PlaceOrder"
    assert steps[-1] == "BookShipment"


async def test_sagas_are_filtered(api: httpx.AsyncClient, shop: Shop) -> None:
    done = (await place(api, shop)).json()["saga"]
    refused = (await place(api, shop, lines=[shop.line(quantity=11)])).json()["saga"]
    await settled(api, done)
    await settled(api, refused)

    async def ids(**filters: str) -> set[str]:
        found = await api.get("/sagas", params={"merchant": shop.merchant, **filters})
        return {one["saga"] for one in found.json()["items"]}

    assert await ids() == {done, refused}
    assert await ids(status="completed") == {done}
    assert await ids(status="refused", saga_type="Checkout") == {refused}
    assert await ids(step="BookShipment") == set()


# Live events.


async def follow(
    api: httpx.AsyncClient, saga: str, after: int | None = None
) -> AsyncGenerator[tuple[int, str, dict[str, object]], None]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with api.stream("GET", f"/sagas/{saga}/events", headers=headers) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in stream.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "id" in fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                fields = {}


async def test_events_come_as_they_happen_and_end_with_the_saga(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    saga = (await place(api, shop, wait=None, card="card_slow")).json()["saga"]
    async with asyncio.timeout(A_LONG_TIME):
        seen = [(version, name) async for version, name, _ in follow(api, saga)]
    stored = await house.sql(
        "SELECT version, type FROM events WHERE stream = %s ORDER BY version", f"saga-{saga}"
    )
    assert seen == stored
    assert seen[-1][1] == "SagaEnded"


@pytest.mark.thorough
async def test_a_reader_who_was_cut_off_misses_nothing_and_hears_nothing_twice(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    saga = (await place(api, shop, wait=None, card="card_slow")).json()["saga"]
    whole: list[int] = []
    after: int | None = None
    async with asyncio.timeout(A_LONG_TIME):
        while True:
            async with aclosing(follow(api, saga, after)) as stream:
                heard = 0
                async for version, name, _ in stream:
                    whole.append(version)
                    after, heard = version, heard + 1
                    if heard == 3 or name == "SagaEnded":
                        break
            if name == "SagaEnded":
                break
    assert whole == list(range(1, len(whole) + 1))


async def test_who_has_heard_the_end_is_told_not_to_come_back(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    saga = (await place(api, shop)).json()["saga"]
    found = await settled(api, saga)
    headers = {"Last-Event-ID": str(found["version"])}
    answer = await api.get(f"/sagas/{saga}/events", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.quick(1)
@pytest.mark.parametrize("last", ["x", "-1", "999", "9" * 40, ""])
async def test_an_event_that_never_was_is_no_place_to_go_on(
    api: httpx.AsyncClient, shop: Shop, last: str
) -> None:
    saga = (await place(api, shop)).json()["saga"]
    answer = await api.get(f"/sagas/{saga}/events", headers={"Last-Event-ID": last})
    problem(answer, 400, "malformed-header")


@pytest.mark.thorough
async def test_a_silent_stream_shows_that_it_lives(
    api: httpx.AsyncClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.05)
    saga = (await place(api, shop, wait=None, card="card_slow")).json()["saga"]
    async with (
        asyncio.timeout(A_LONG_TIME),
        api.stream("GET", f"/sagas/{saga}/events") as stream,
    ):
        async for line in stream.aiter_lines():
            if line.startswith(":"):
                break
    await settled(api, saga)


async def test_streams_end_when_the_process_does(house: House, shop: Shop) -> None:
    stopping = asyncio.Event()
    async with house.api(stopping=stopping) as api:
        saga = (await place(api, shop, wait=None, card="card_late_2")).json()["saga"]
        async with asyncio.timeout(A_LONG_TIME):
            async for _, name, _ in follow(api, saga):
                assert name != "SagaEnded"
                stopping.set()
