"""Every page of the console shows what the stores hold, whole and as a fragment for htmx."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from handrail.console.rendering import POLICY
from handrail.personal import MARK
from tests.api.conftest import House
from tests.api.shop import place, settled
from tests.console.parked import (
    Parked,
    eventually_shows,
    form,
    forms_of,
    lines_until,
    sent,
    shown,
    submit,
    text_of,
)

PAGES = (
    "/console",
    "/console/sagas",
    "/console/sagas?status=parked",
    "/console/interventions",
    "/console/interventions/new?step=BookShipment",
    "/console/read-models",
    "/console/read-models/order_status",
    "/console/read-models/order_status/parked/order-{saga}",
    "/console/consumers",
    "/console/consumers/finance",
    "/console/broker",
    "/console/broker/money/parked/order-{saga}",
    "/console/catalogue",
    "/console/catalogue/sagas/Checkout",
    "/console/sagas/{saga}",
    "/console/sagas/{saga}/correct?step=BookShipment",
    "/console/orders/{saga}",
    "/console/customers/{customer}",
    "/console/merchants/{merchant}",
    "/console/streams/saga-{saga}",
    "/console/events",
    "/console/events?saga={saga}",
    "/console/events/saga-{saga}/2",
    "/console/audit",
)
LIVE = (
    "/console",
    "/console/sagas",
    "/console/read-models",
    "/console/read-models/order_status",
    "/console/read-models/order_status/parked/order-{saga}",
    "/console/consumers",
    "/console/broker",
    "/console/broker/money/parked/order-{saga}",
    "/console/sagas/{saga}",
)


def address(path: str, parked: Parked) -> str:
    shop = parked.shop
    return path.format(saga=parked.saga, customer=shop.customer, merchant=shop.merchant)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_shown_under_its_policy_without_inline_code(
    api: httpx.AsyncClient, stays_parked: Parked, path: str
) -> None:
    answer = await api.get(address(path, stays_parked))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    html = answer.text
    assert html.startswith("<!doctype html>")
    assert html.count("<h1") == 1
    assert MARK not in html
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert not re.search(r"\s(?:src|action)=\"(?!/console)", html)


@pytest.mark.parametrize("path", LIVE)
async def test_htmx_gets_the_part_of_a_page_that_changes(
    api: httpx.AsyncClient, stays_parked: Parked, path: str
) -> None:
    answer = await api.get(address(path, stays_parked), headers={"HX-Request": "true"})
    assert answer.status_code == 200, answer.text
    assert answer.text.lstrip().startswith('<div id="live"')
    assert "<html" not in answer.text


async def test_a_saga_says_what_each_button_will_do_at_its_step(
    api: httpx.AsyncClient, stays_parked: Parked
) -> None:
    html = await shown(api, f"/console/sagas/{stays_parked.saga}")
    said = text_of(html)
    assert "BookShipment: parked" in said
    assert "Asks BookShipment again, with the same input." in said
    assert "Goes on without BookShipment" in said
    assert "Not possible: the pivot was done: after it there is no way back." in said
    assert "The saga goes forward: nothing is being taken back." in said
    assert form(html, "Take everything back").disabled
    assert not form(html, "Retry").disabled
    assert f"handrail sagas retry {stays_parked.saga} --step BookShipment --reason" in said
    assert f"POST /sagas/{stays_parked.saga}/interventions" in said


async def test_the_drawing_has_every_step_and_its_way_back(
    api: httpx.AsyncClient, stays_parked: Parked
) -> None:
    html = await shown(api, f"/console/sagas/{stays_parked.saga}")
    [words] = re.findall(r"<desc[^>]*>(.*?)</desc>", html, re.DOTALL)
    assert "CapturePayment, pivot: done" in words
    assert "BookShipment, retriable: parked" in words
    assert "ReserveStock, compensatable: done; taken back by" in words


async def test_without_a_temporal_ui_a_saga_has_no_link_there(
    house: House, stays_parked: Parked
) -> None:
    path = f"/console/sagas/{stays_parked.saga}"
    async with house.api(bounds={"temporal_ui": None}) as without:
        said = text_of(await shown(without, path))
    async with house.api() as with_one:
        assert "Its workflow in the Temporal UI" in text_of(await shown(with_one, path))
    assert "BookShipment: parked" in said
    assert "Temporal UI" not in said


async def test_a_retry_from_the_page_is_what_the_api_would_have_done(
    api: httpx.AsyncClient, house: House, parked: Parked
) -> None:
    html = await shown(api, f"/console/sagas/{parked.saga}/correct?step=BookShipment")
    filled = {"field.ship_to": "addr_ok", "reason": "the customer moved"}
    answer = await sent(api, form(html, "Correct and retry"), filled)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"/console/sagas/{parked.saga}?said=correct"
    await settled(api, parked.saga, "completed")
    [(kind, actor, reason)] = await house.sql(
        "SELECT data->>'kind', data->>'actor', data->>'correction' FROM events"
        " WHERE stream = %s AND type = 'SagaResumed'",
        f"saga-{parked.saga}",
    )
    assert (kind, actor) == ("correct", "console")
    assert "ship_to" in reason


async def test_a_form_that_is_sent_twice_is_one_intervention(
    api: httpx.AsyncClient, house: House, parked: Parked
) -> None:
    html = await shown(api, f"/console/sagas/{parked.saga}")
    one = form(html, "Skip")
    for _ in range(2):
        answer = await submit(api, one, reason="sent by hand", evidence="ticket 7")
        assert answer.status_code == 303, answer.text
    told = await house.sql(
        "SELECT 1 FROM events WHERE stream = %s AND type = 'SagaResumed'", f"saga-{parked.saga}"
    )
    assert len(told) == 1


async def test_what_is_refused_is_a_page_that_says_why(
    api: httpx.AsyncClient, parked: Parked
) -> None:
    html = await shown(api, f"/console/sagas/{parked.saga}")
    one = form(html, "Take everything back")
    answer = await submit(api, one, reason="never mind")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert "the pivot was done" in text_of(answer.text)
    without = await submit(api, form(html, "Retry"))
    assert without.status_code == 422
    assert "#/reason" in text_of(without.text)


async def test_a_rollback_that_is_complete_is_said_to_be(
    api: httpx.AsyncClient, parked: Parked
) -> None:
    saga = (await place(api, parked.shop, card="card_declined")).json()["saga"]
    await settled(api, saga, "refused")
    said = text_of(await shown(api, f"/console/sagas/{saga}"))
    assert "The rollback is complete:" in said
    assert "were taken back." in said


async def test_now_groups_what_waits_by_cause_and_step_and_leads_to_all_of_it(
    api: httpx.AsyncClient, parked: Parked
) -> None:
    other = (await place(api, parked.shop, wait=None, ship_to="addr_undeliverable")).json()["saga"]
    await settled(api, other, "parked")
    html = await shown(api, "/console")
    assert "ShipmentDeclined" in html
    found = {unescape(one) for one in re.findall(r'href="(/console/interventions/new[^"]+)"', html)}
    named = [one for one in found if "ShipmentDeclined" in one]
    assert len(named) == 1, named
    [many] = named
    said = text_of(await shown(api, many))
    assert re.search(r"\d parked sagas? match", said)
    assert "all that match, and not those that are shown" in said


async def test_a_filter_that_is_left_empty_is_no_filter(
    api: httpx.AsyncClient, parked: Parked
) -> None:
    html = await shown(
        api, f"/console/sagas?status=&saga_type=&step=&merchant={parked.shop.merchant}"
    )
    assert parked.saga in html


async def test_many_are_told_and_each_shows_what_became_of_it(
    api: httpx.AsyncClient, parked: Parked
) -> None:
    path = f"/console/interventions/new?merchant={parked.shop.merchant}"
    html = await shown(api, path)
    assert "1 parked saga matches" in text_of(html)
    skip = next(one for one in forms_of(html) if one.fields.get("kind") == "skip")
    answer = await submit(api, skip, reason="sent by hand", evidence="ticket 8")
    assert answer.status_code == 303, answer.text
    await settled(api, parked.saga, "completed")
    said = await eventually_shows(api, answer.headers["location"], "finished")
    assert f"{parked.saga} BookShipment accepted completed" in said


async def test_the_entity_has_its_state_as_of_each_of_its_events(
    api: httpx.AsyncClient, stays_parked: Parked
) -> None:
    now = text_of(await shown(api, f"/console/orders/{stays_parked.saga}"))
    assert "As it is now" in now
    assert "Status confirmed" in now
    assert "100.00 EUR" in now
    first = text_of(await shown(api, f"/console/orders/{stays_parked.saga}?event=2"))
    assert "As it was known at" in first
    assert "(later)" in first
    before = text_of(
        await shown(api, f"/console/orders/{stays_parked.saga}?at=2020-01-01T00:00:00")
    )
    assert "Nothing of it was known then." in before


@pytest.mark.parametrize(
    ("id_", "leads_to"),
    [
        ("{saga}", "/console/orders/{saga}"),
        ("saga-{saga}", "/console/sagas/{saga}"),
        ("{customer}", "/console/customers/{customer}"),
        ("saga-{saga}/2", "/console/events/saga-{saga}/2"),
        ("{saga}/1/ReserveStock/do", "/console/orders/{saga}"),
    ],
)
async def test_any_id_leads_to_its_page(
    api: httpx.AsyncClient, stays_parked: Parked, id_: str, leads_to: str
) -> None:
    answer = await api.get("/console/find", params={"id": address(id_, stays_parked)})
    assert answer.status_code == 303, text_of(answer.text)
    assert answer.headers["location"] == address(leads_to, stays_parked)


async def test_an_id_of_nothing_says_what_it_was_looked_for_as(api: httpx.AsyncClient) -> None:
    answer = await api.get("/console/find", params={"id": "no-such-thing"})
    assert answer.status_code == 404
    assert "an Idempotency-Key of the last day" in text_of(answer.text)


async def test_a_saga_tells_the_browser_when_something_happened(
    api: httpx.AsyncClient, parked: Parked
) -> None:
    found = await lines_until(api, f"/console/sagas/{parked.saga}/events", "event: changed")
    assert found[-1] == "event: changed"
