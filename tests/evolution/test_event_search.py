"""The audit search finds an event by its name, whatever name it is stored under."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from temporalio.client import Client

from handrail.access.authentication import Development
from handrail.database_engine import open_engine
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from tests.evolution.test_readers import Diary, app_of, history
from tests.projections.world import World, a_world


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with a_world(database) as world:
        yield world


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("KeyGiven", [6, 4, 1]),
        ("KeyHandedOver", [4, 1]),
        ("PhoneChanged", [8, 5, 2]),
        ("GuestMoved", [5, 2]),
        ("HelpAsked", [3]),
        ("GuestLeft", []),
    ],
)
async def test_an_event_is_found_under_all_names_that_it_is_stored_under(
    name: str, found: list[int], world: World
) -> None:
    await history(world)
    app = app_of(Diary())
    client = await Client.connect("localhost:1", lazy=True)
    async with open_engine(world.url, role="handrail_api", size=2) as engine:
        api = create_app(app, engine, client, RunOptions(), authentication=Development(app.access))
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as asked:
            answer = await asked.get("/events", params={"type": name})
    assert [one["version"] for one in answer.json()["items"]] == found
