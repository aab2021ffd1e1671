"""In which shape the API begins sagas while workers of an older release are at work."""

from __future__ import annotations

import pytest

from runtime.app import HANDRAIL
from tests.api.conftest import House
from tests.api.shop import open_shop, place, settled


async def test_an_order_begins_in_the_newest_shape_that_every_worker_knows(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = HANDRAIL.shapes.newest["Checkout"]
    monkeypatch.setattr(HANDRAIL.shapes, "workers", [{"Checkout": newest - 1}, {}])
    async with house.api() as api:
        order = (await place(api, await open_shop(api))).json()["order"]
        await settled(api, order, "completed")

    found = await house.sql(
        "SELECT data->'shape' FROM events WHERE stream = %s AND type = 'SagaStarted'",
        f"saga-{order}",
    )
    assert found == [(newest - 1,)]
