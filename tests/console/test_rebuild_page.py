"""A read model is built anew from its page, which shows how far it is; and the trend of lag."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from handrail.access.database_roles import DatabaseRoles
from handrail.console.lag_drawing import trend_of
from handrail.eventstore.subscriptions.lag import Lag
from handrail.http.lag_trend import LagTrend
from handrail.projections.rebuild_requested import keep_rebuilding
from runtime.app import HANDRAIL
from tests.api.conftest import House
from tests.api.shop import eventually, problem
from tests.console.parked import eventually_shows, form, shown, submit, text_of

ROLE = "handrail_app"

MODEL = "stock_level"
PATH = f"/console/read-models/{MODEL}"


@pytest.fixture
async def builder(house: House) -> AsyncIterator[None]:
    """What `handrail up` runs, with the owner's login."""
    task = asyncio.create_task(
        keep_rebuilding(house.database, ROLE, HANDRAIL.read_models, DatabaseRoles())
    )
    yield
    task.cancel()
    await asyncio.wait({task})


async def test_a_read_model_is_built_anew_by_a_button_and_the_page_shows_what_came_of_it(
    api: httpx.AsyncClient, builder: None
) -> None:
    answer = await submit(api, form(await shown(api, PATH), "Build it anew"), reason="by hand")
    assert answer.headers["location"] == PATH, answer.text
    said = await eventually_shows(api, PATH, "done")
    assert "by console: by hand" in said

    async def done() -> bool:
        return bool((await api.get(f"/read-models/{MODEL}/rebuild")).json()["state"] == "done")

    await eventually(done, "it is built anew")


async def test_until_a_process_takes_it_the_page_says_which_one_would(
    api: httpx.AsyncClient, house: House
) -> None:
    path = "/read-models/customer_account/rebuild"
    answer = await api.post(path, json={"actor": "ann", "reason": "rows were changed by hand"})
    assert answer.status_code == 202, answer.text
    assert (answer.json()["state"], answer.json()["actor"]) == ("waiting", "ann")
    html = await shown(api, "/console/read-models/customer_account")
    assert "handrail projections rebuild --requested" in text_of(html)
    assert form(html, "Build it anew").disabled
    await house.sql("DELETE FROM rebuild_requests WHERE name = 'customer_account'")


async def test_a_read_model_that_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    problem(await api.get("/read-models/none/rebuild"), 404, "not-found")
    wish = {"reason": "x"}
    problem(await api.post("/read-models/none/rebuild", json=wish), 404, "not-found")


async def test_the_lag_of_the_last_hour_is_a_line_with_words(api: httpx.AsyncClient) -> None:
    now = 0.0
    trend = LagTrend(clock=lambda: now)
    for number, events in enumerate((0, 40, 10)):
        now = 60.0 * number
        trend.note([Lag("orders", events, 1.0, 0, 0)])
        trend.note([Lag("orders", 999, 1.0, 0, 0)])  # a moment later: not another point
    found = trend_of(trend.of("orders"))
    assert found is not None
    assert found.words == "0 events behind 2 min ago, at most 40, now 10"
    assert len(found.points.split()) == 3
    assert trend_of(trend.of("another")) is None
    now += 3_601
    assert trend.of("orders") == []
    assert "Behind in the last hour" in text_of(await shown(api, "/console/read-models"))
