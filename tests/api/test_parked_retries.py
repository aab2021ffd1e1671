"""What is parked at a read model can be seen and retried over HTTP; a projector does it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import House
from tests.api.poison import heal, mend, poison
from tests.api.shop import Shop, eventually, problem

WHY = {"actor": "ann", "reason": "the data is whole again"}
MODEL = "customer_account"


@pytest.fixture
async def stream(house: House, shop: Shop) -> str:
    """Of a customer whose account stands still."""
    name = f"credit-{shop.customer}"
    await poison(house, name, "LimitAssigned", MODEL)
    return name


@pytest.fixture(autouse=True)
async def _nothing_is_left_parked(house: House) -> Any:
    yield
    await heal(house)


async def parked(api: httpx.AsyncClient, stream: str) -> dict[str, Any]:
    answer = await api.get(f"/read-models/{MODEL}/parked", params={"stream": stream})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def settled(api: httpx.AsyncClient, stream: str, path_stream: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = (await parked(api, stream))["retries"] if path_stream else await everything(api)
        return next((one for one in found if one["state"] == "done"), None)

    return await eventually(look, "the retry is done")


async def everything(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    found = (await api.get(f"/read-models/{MODEL}/parked")).json()["retries"]
    return [one for one in found if one["stream"] == ""]


async def test_read_models_are_listed_with_what_is_parked(
    api: httpx.AsyncClient, stream: str
) -> None:
    found = {one["name"]: one for one in (await api.get("/read-models")).json()["items"]}
    assert found[MODEL]["parked_events"] == 1
    assert found[MODEL]["links"]["parked"] == f"/read-models/{MODEL}/parked"


async def test_a_row_that_stands_still_says_since_when_and_why(
    api: httpx.AsyncClient, shop: Shop, stream: str
) -> None:
    [row] = (await parked(api, stream))["items"]
    assert (row["id"], row["stream"], row["events"]) == (shop.customer, stream, 1)
    assert "LimitAssigned" in row["cause"] or "Error" in row["cause"]


async def test_a_retry_of_a_mended_event_makes_the_row_whole(
    api: httpx.AsyncClient, house: House, shop: Shop, stream: str
) -> None:
    await mend(house, stream)
    answer = await api.post(f"/read-models/{MODEL}/parked/{stream}/retry", json=WHY)
    assert answer.status_code == 202, answer.text
    done = await settled(api, stream, stream)
    assert (done["handled"], done["stopped_by"], done["actor"]) == (1, "", "ann")
    assert done["reason"] == WHY["reason"]
    assert (await parked(api, stream))["items"] == []
    [(count,)] = await house.sql(
        "SELECT count(*) FROM parked_events WHERE projection = %s AND stream = %s", MODEL, stream
    )
    assert count == 0


async def test_a_retry_in_vain_says_what_still_waits(
    api: httpx.AsyncClient, house: House, stream: str
) -> None:
    answer = await api.post(f"/read-models/{MODEL}/parked/{stream}/retry", json=WHY)
    assert answer.status_code == 202, answer.text
    done = await settled(api, stream, stream)
    assert done["handled"] == 0
    assert done["stopped_by"].startswith(f"{stream} stopped at position ")
    assert len((await parked(api, stream))["items"]) == 1


async def test_all_rows_are_retried_and_those_that_still_wait_are_counted(
    api: httpx.AsyncClient, house: House, shop: Shop, stream: str
) -> None:
    answer = await api.post(f"/read-models/{MODEL}/retry", json=WHY)
    assert answer.status_code == 202, answer.text
    done = await settled(api, stream, "")
    assert done["stopped_by"].startswith("rows that still wait: 1; ")
    await mend(house, stream)
    await api.post(f"/read-models/{MODEL}/retry", json=WHY)

    async def whole() -> bool:
        return any(one["handled"] == 1 for one in await everything(api))

    await eventually(whole, "all rows are whole")
    assert (await parked(api, stream))["items"] == []


async def test_the_act_is_in_the_audit(api: httpx.AsyncClient, house: House, stream: str) -> None:
    path = f"/read-models/{MODEL}/parked/{stream}/retry"
    await api.post(path, json=WHY)
    [(act, reason)] = await house.sql(
        "SELECT data->>'act', data->>'acting_for' FROM events WHERE type = 'OperatorActRequested'"
        " AND data->>'target' = %s",
        path,
    )
    assert act == "POST /read-models/{name}/parked/{stream}/retry"
    assert reason == ""


async def test_what_is_not_parked_or_not_there_is_not_found(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    of_shop = f"credit-{shop.customer}"
    answer = await api.post(f"/read-models/{MODEL}/parked/{of_shop}/retry", json=WHY)
    problem(answer, 404, "not-found")
    problem(await api.post("/read-models/none/retry", json=WHY), 404, "not-found")
    problem(await api.get("/read-models/none/parked"), 404, "not-found")


async def test_a_retry_without_a_reason_is_refused(api: httpx.AsyncClient, stream: str) -> None:
    answer = await api.post(f"/read-models/{MODEL}/parked/{stream}/retry", json={"actor": "ann"})
    assert "#/reason" in str(problem(answer, 422, "invalid-request"))
