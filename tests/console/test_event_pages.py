"""The search for events in the console, and the page of an event with its tree of causes."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from handrail.console.event_pages import attempts_of
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.api.shop import Shop, open_shop, place, settled
from tests.console.parked import Parked, shown, text_of


def links(html: str, within: str) -> list[str]:
    """The addresses of a page that begin so, in their order, each once."""
    found = (unquote(unescape(one)) for one in re.findall(r'href="([^"]+)"', html))
    return list(dict.fromkeys(one for one in found if one.startswith(within)))


async def all_pages(api: httpx.AsyncClient, path: str) -> list[str]:
    """The links to events on a page and on all that follow."""
    found: list[str] = []
    while path:
        html = await shown(api, path)
        found += links(html, "/console/events/")
        following = re.search(r'rel="next" href="([^"]+)"', html)
        path = unescape(following[1]) if following else ""
    return found


async def found_by_api(api: httpx.AsyncClient, **asked: Any) -> list[str]:
    answer = await api.get("/events", params={**asked, "limit": 200})
    return [f"/console/events/{one['id']}" for one in answer.json()["items"]]


@pytest.fixture
async def refused(api: httpx.AsyncClient, shop: Shop) -> str:
    """A checkout that was taken back."""
    saga = (await place(api, shop, card="card_declined")).json()["saga"]
    await settled(api, saga, "refused")
    return str(saga)


@pytest.mark.thorough
async def test_a_search_finds_what_the_api_finds_page_after_page(
    api: httpx.AsyncClient, refused: str
) -> None:
    wanted = await found_by_api(api, saga=refused)
    assert len(wanted) > 4
    assert await all_pages(api, f"/console/events?saga={refused}&limit=3") == wanted


async def test_each_filter_of_the_form_narrows_the_search(
    api: httpx.AsyncClient, shop: Shop, refused: str
) -> None:
    for asked in (
        {"type": "StepRefused", "saga": refused},
        {"correlation": refused},
        {"merchant": shop.merchant, "type": "SagaStarted"},
    ):
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        found = await all_pages(api, f"/console/events?{query}&actor=&since=")
        assert found == await found_by_api(api, **asked), asked
        assert found, asked


async def test_a_moment_without_a_time_zone_is_in_utc(
    api: httpx.AsyncClient, house: House, refused: str
) -> None:
    [(then,)] = await house.sql(
        "SELECT to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
        " FROM events WHERE stream = %s AND version = 2",
        f"saga-{refused}",
    )
    found = await all_pages(api, f"/console/events?saga={refused}&until={then}")
    assert found == await found_by_api(api, saga=refused, until=f"{then}Z")
    assert f"/console/events/saga-{refused}/1" in found
    assert f"/console/events/saga-{refused}/2" not in found
    html = await shown(api, f"/console/events?since={then}Z")
    assert f'value="{then[:19]}"' in html


async def test_a_filter_that_cannot_be_is_a_page_that_names_it(api: httpx.AsyncClient) -> None:
    answer = await api.get("/console/events?since=yesterday")
    assert answer.status_code == 422
    assert "since" in text_of(answer.text)


async def test_an_event_shows_its_data_and_leads_to_all_it_is_about(
    api: httpx.AsyncClient, house: House, stays_parked: Parked
) -> None:
    html = await shown(api, f"/console/events/order-{stays_parked.saga}/1")
    [(type_, total)] = await house.sql(
        "SELECT type, data -> 'total' ->> 'amount' FROM events WHERE stream = %s AND version = 1",
        f"order-{stays_parked.saga}",
    )
    said = text_of(html)
    assert type_[:5] in said
    assert f'"amount": {total}' in said
    assert f"/console/orders/{stays_parked.saga}" in links(html, "/console/orders")
    assert f"/console/sagas/{stays_parked.saga}" in links(html, "/console/sagas")
    assert f"/console/streams/order-{stays_parked.saga}?after=0" in links(html, "/console/streams")
    assert f"/console/events?correlation={stays_parked.saga}" in links(html, "/console/events?")


async def test_an_event_has_the_tree_of_its_causes_as_the_api_has(
    api: httpx.AsyncClient, refused: str
) -> None:
    undone = await found_by_api(api, saga=refused, type="CreditReleased")
    assert undone
    id_ = undone[0].removeprefix("/console/events/")
    causes = (await api.get(f"/events/{id_}/causes")).json()
    assert causes["caused_by"]
    html = await shown(api, undone[0])
    listed = links(html, "/console/events/")
    everything = {event["id"] for step in causes["steps"] for event in step["events"]}
    assert {one.removeprefix("/console/events/") for one in listed} == everything - {id_}
    first = html.partition("<h2>What caused it</h2>")[2].partition("<h2>")[0]
    assert links(first, "/console/events/") == [
        f"/console/events/{one['id']}" for one in causes["caused_by"]
    ]
    assert 'aria-current="true"' in html
    assert "Taken back by" in text_of(html)


async def test_an_event_that_is_not_there_is_a_page_that_says_so(
    api: httpx.AsyncClient, stays_parked: Parked
) -> None:
    answer = await api.get(f"/console/events/saga-{stays_parked.saga}/9999")
    assert answer.status_code == 404
    assert f"there is no event saga-{stays_parked.saga}/9999" in text_of(answer.text)


async def test_a_confined_auditor_finds_its_own_events_alone(house: House) -> None:
    async with house.api() as api:
        mine, theirs = await open_shop(api), await open_shop(api)
        for one in (mine, theirs):
            await settled(api, (await place(api, one)).json()["saga"])
    known = Callers({"m": caller("m", "merchant", "reader", tenant=mine.merchant)})
    async with house.api(authentication=known) as api:
        api.headers.update(signed_in("m"))
        found = await all_pages(api, "/console/events?type=SagaStarted")
        assert found
        for address in found:
            answer = await api.get(address)
            assert answer.status_code == 404, "as of the API: its path does not say whose it is"
        whole = " ".join(await all_pages(api, f"/console/events?merchant={theirs.merchant}"))
        assert whole == ""


def test_a_step_that_takes_another_back_stands_below_it() -> None:
    def step(causation: str, direction: str, attempt: int, takes_back: str = "") -> dict[str, Any]:
        name = causation.split("/")[2]
        found = {"causation": causation, "step": name, "direction": direction}
        return {**found, "attempt": attempt, "takes_back": takes_back, "events": []}

    alone = {"causation": "c", "step": "", "direction": "do", "attempt": 1, "takes_back": ""}
    found = attempts_of(
        [
            step("s/1/Hold/do", "do", 1),
            step("s/1/Hold/undo", "undo", 1, "s/1/Hold/do"),
            step("s/2/Hold/do", "do", 2),
            step("s/2/Pay/undo", "undo", 2),
            {**alone, "events": []},
        ]
    )
    assert [
        (one.number, [(each.name, each.is_back, len(each.back)) for each in one.branches])
        for one in found
    ] == [
        (0, [("c", False, 0)]),
        (1, [("Hold", False, 1)]),
        (2, [("Hold", False, 0), ("Pay", True, 0)]),
    ]
