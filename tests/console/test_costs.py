"""What a page costs: a number of statements that does not grow with what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from handrail.database_engine import open_engine
from tests.api.conftest import API, House
from tests.api.shop import open_shop, place, settled
from tests.console.parked import Parked

AT_MOST = {
    "/console": 7,
    "/console/sagas": 2,
    "/console/sagas/{saga}": 4,
    "/console/interventions": 2,
    "/console/interventions/new?merchant={merchant}": 2,
    "/console/read-models": 3,
    "/console/read-models/order_status": 4,
    "/console/read-models/order_status/parked/order-{saga}": 3,
    "/console/consumers": 1,
    "/console/broker": 4,
    "/console/broker/money/parked/order-{saga}": 3,
    "/console/catalogue": 0,
    "/console/orders/{saga}": 9,
    "/console/merchants/{merchant}": 9,
    "/console/streams/saga-{saga}": 2,
    "/console/events?saga={saga}": 2,
    "/console/events?actor=api&since=2026-03-02T12:00": 3,
    "/console/events/saga-{saga}/2": 3,
    "/console/audit": 2,
    "/console/audit?outcome=refused&since=2026-03-02T12:00": 2,
    "/console/audit/export": 2,
    "/console/find?id={saga}": 2,
}


@pytest.fixture(scope="module")
async def engine(house: House) -> AsyncIterator[AsyncEngine]:
    """Of an API of its own, so that no statement of others counts."""
    async with open_engine(house.database, role=API) as engine:
        yield engine


@pytest.fixture(scope="module")
async def own(house: House, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api(engine=engine) as client:
        yield client


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


@pytest.fixture(scope="module")
async def several(api: httpx.AsyncClient) -> None:
    """Beside the saga that a test looks at, others wait."""
    shop = await open_shop(api)
    for _ in range(4):
        saga = (await place(api, shop, wait=None, ship_to="addr_undeliverable")).json()["saga"]
        await settled(api, saga, "parked")


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("path", AT_MOST)
async def test_a_page_asks_the_database_a_fixed_number_of_times(
    own: httpx.AsyncClient, engine: AsyncEngine, stays_parked: Parked, path: str
) -> None:
    address = path.format(saga=stays_parked.saga, merchant=stays_parked.shop.merchant)
    await own.get(address)  # a connection says once whose it is
    with statements(engine) as sent:
        answer = await own.get(address)
    assert answer.status_code in {200, 303}
    assert len(sent) <= AT_MOST[path], [one.split()[:6] for one in sent]
