"""A process of the API that meets an event of newer code says so, and serves everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psycopg
import pytest

from handrail.eventstore.subscriptions.lag import Lag
from handrail.http.database import Database
from handrail.http.decision_waiter import DecisionWaiter
from handrail.http.routes.operations import LAG_LIMIT
from handrail.http.start_request import StartRequest
from runtime.app import HANDRAIL
from tests.api.conftest import House
from tests.api.shop import Shop, place, problem, settled
from tests.api.test_attempts import again
from tests.api.test_operations import figures


@asynccontextmanager
async def of_newer_code(house: House, stream: str, type_: str) -> AsyncIterator[None]:
    """While it lasts, the events of the type are of a version that this code does not know."""
    await _add(house, 8, stream, type_)
    try:
        yield
    finally:
        await _add(house, -8, stream, type_)


async def _add(house: House, versions: int, stream: str, type_: str) -> None:
    async with await psycopg.AsyncConnection.connect(house.database) as owner:
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute(
            "UPDATE events SET schema = schema + %s WHERE stream = %s AND type = %s",
            (versions, stream, type_),
        )


def begun(saga: str) -> StartRequest:
    return StartRequest(saga=saga, saga_type="Checkout", input=None, tenant="", summary="")


async def test_a_request_that_needs_such_an_event_may_be_repeated(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    saga = (await place(api, shop)).json()["saga"]
    await settled(api, saga, "completed")
    async with of_newer_code(house, f"saga-{saga}", "SagaStarted"):
        answer = await again(api, saga)

    assert "SagaStarted v9" in problem(answer, 503, "newer-code")["detail"]
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_decision_that_cannot_be_read_holds_up_no_other(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    # The one that cannot be read comes first: they are read in the order of their streams.
    unread, read = sorted([(await place(api, shop)).json()["saga"] for _ in range(2)])
    for saga in (unread, read):
        await settled(api, saga, "completed")
    waiter = DecisionWaiter(Database(house.engine), HANDRAIL.codec)
    async with of_newer_code(house, f"saga-{unread}", "SagaDecided"):
        waiting = asyncio.create_task(waiter.wait_for(begun(unread), 60))
        try:
            found = await waiter.wait_for(begun(read), 10)
            assert not waiting.done()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    assert found is not None
    assert found.approved


async def test_what_waits_for_newer_code_takes_no_process_out_of_service(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(_: object) -> list[Lag]:
        return [Lag("order_status", 3, 10 * LAG_LIMIT, 1, 0, waiting=1)]

    monkeypatch.setattr("handrail.http.routes.operations.lag", waits)
    async with house.api() as api:
        answer = await api.get("/readyz")

    assert answer.status_code == 200, answer.text  # what HTTP calls it
    assert answer.json()["projections"][0]["waiting"] == 1


async def test_the_figures_tell_what_waits_for_newer_code(house: House) -> None:
    async with house.api() as api:
        found = await figures(api)

    assert found["handrail_projection_waiting_shards", ("order_status",)] == 0
    assert found["handrail_consumer_waiting_streams", ("finance",)] == 0
