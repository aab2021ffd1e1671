"""The page of an entity says for each field which event last set it, as blame of the API does."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from typing import cast
from urllib.parse import unquote

import httpx
import pytest

from handrail.console import timeline
from handrail.console.routes import entities
from handrail.console.set_by import blame_of_row
from handrail.http.database import Database
from handrail.http.dependencies import Services
from handrail.http.point_in_time import PointInTime
from handrail.projections.row_of import row_of
from projections import order_status
from runtime.app import HANDRAIL
from tests.api.conftest import House
from tests.api.shop import Shop, eventually, place, read, settled
from tests.console.parked import shown, text_of


@pytest.fixture
async def order(api: httpx.AsyncClient, shop: Shop) -> str:
    placed = (await place(api, shop)).json()["order"]
    await settled(api, placed)
    await read(api, f"/orders/{placed}", lambda found: found["status"] == "confirmed")
    return str(placed)


def set_by(html: str) -> dict[str, str]:
    """The event by the name of its field, as the page writes both."""
    pairs = re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", html, re.DOTALL)
    found = {name: re.search(r'set by <a href="/console/events/([^"]+)"', dd) for name, dd in pairs}
    return {name: unquote(unescape(one[1])) for name, one in found.items() if one}


async def test_each_field_names_the_event_that_blame_names(
    api: httpx.AsyncClient, order: str
) -> None:
    blamed = (await api.get(f"/orders/{order}/blame")).json()["fields"]
    wanted = {one["field"]: one["set_by"]["id"] for one in blamed}
    found = set_by(await shown(api, f"/console/orders/{order}"))
    assert found["Status"] == wanted["status"] == f"order-{order}/2"
    assert found["Customer"] == wanted["customer"] == f"order-{order}/1"
    assert {one.lower().replace(" ", "_"): id_ for one, id_ in found.items()} == wanted


@pytest.mark.thorough
async def test_of_an_earlier_moment_the_event_of_then_is_named(
    api: httpx.AsyncClient, house: House, order: str
) -> None:
    [(moment,)] = await house.sql(
        "SELECT to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
        " FROM events WHERE stream = %s AND version = 1",
        f"order-{order}",
    )
    found = set_by(await shown(api, f"/console/orders/{order}?at={moment}"))
    assert found["Status"] == f"order-{order}/1"


async def test_an_event_that_the_row_does_not_have_yet_is_said_to_be_newer(
    api: httpx.AsyncClient, house: House, order: str
) -> None:
    database = Database(house.engine)
    services = cast("Services", SimpleNamespace(history=PointInTime(database, HANDRAIL.codec)))
    async with database.connection() as connection:
        row = await row_of(connection, order_status.PROJECTION, order)
    assert row is not None
    behind = replace(row, status="approved")
    [entity] = [one for one in HANDRAIL.console.entities if one.name == "orders"]
    found = (await blame_of_row(services, entity, order, None, behind)).fields
    assert found["status"].is_newer
    assert not found["customer"].is_newer


@pytest.mark.thorough
async def test_a_long_history_is_folded_on_demand_alone(
    api: httpx.AsyncClient, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entities, "SHOWN", 3)
    monkeypatch.setattr(timeline, "SHOWN", 3)
    html = await shown(api, f"/console/orders/{order}?event=0")
    assert not set_by(html)
    [more] = re.findall(r'href="([^"]+)">Look which event last set each field', html)
    assert set_by(await shown(api, unescape(more)))["Status"] == f"order-{order}/2"


@pytest.mark.thorough
async def test_a_history_that_one_request_cannot_fold_says_so_and_goes_on(
    house: House, order: str
) -> None:
    """Each look goes on from where the one before it ended."""
    path = f"/console/orders/{order}"
    async with house.api(bounds={"as_of_events": 1}) as bounded:
        html = await shown(bounded, path)
        said = text_of(html)
        assert "Status confirmed" in said
        assert "Its history is long. So far one request has folded 1 of about" in said
        assert not set_by(html)

        async def look() -> str | None:
            html = await shown(bounded, path)
            return html if set_by(html) else None

        html = await eventually(look, "the newest events that set a field")
    assert "was set earlier than one request reads" in text_of(html)
