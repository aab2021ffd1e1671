"""Alive, ready, and how it is doing."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import House
from tests.api.shop import Shop, place, problem, settled

READ_MODELS = {"order_status", "customer_account", "merchant_balance", "stock_level", "saga_board"}


async def test_it_is_alive(api: httpx.AsyncClient) -> None:
    answer = await api.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_it_is_ready(api: httpx.AsyncClient) -> None:
    answer = await api.get("/readyz")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["checks"] == ["postgres", "migrations", "read models", "projections", "temporal"]
    assert {one["projection"] for one in found["projections"]} >= READ_MODELS


async def test_a_database_of_another_version_is_not_ready(
    house: House, api: httpx.AsyncClient
) -> None:
    [(version,)] = await house.sql("SELECT version_num FROM alembic_version")
    await house.sql("UPDATE alembic_version SET version_num = '0000'")
    try:
        found = problem(await api.get("/readyz"), 503, "not-ready")
    finally:
        await house.sql("UPDATE alembic_version SET version_num = %s", version)
    [wrong] = found["errors"]
    assert wrong["parameter"] == "migrations"
    assert "0000" in wrong["detail"]


async def test_a_read_model_of_another_version_is_not_ready(
    house: House, api: httpx.AsyncClient
) -> None:
    await house.sql("UPDATE read_models SET version = 99 WHERE name = 'stock_level'")
    try:
        found = problem(await api.get("/readyz"), 503, "not-ready")
    finally:
        await house.sql("UPDATE read_models SET version = 1 WHERE name = 'stock_level'")
    assert [one["parameter"] for one in found["errors"]] == ["read models"]


async def test_a_projection_that_stands_still_is_not_ready(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.operations.LAG_LIMIT", -1)
    found = problem(await api.get("/readyz"), 503, "not-ready")
    assert [one["parameter"] for one in found["errors"]] == ["projections"]


async def figures(api: httpx.AsyncClient) -> dict[tuple[str, tuple[str, ...]], float]:
    """By name and labels, these in the order of their names."""
    answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_it_tells_its_figures(house: House, shop: Shop) -> None:
    async with house.api() as api:
        saga = (await place(api, shop)).json()["saga"]
        await settled(api, saga)
        await api.get("/orders/nothing")
        await api.get("/no/such/place")
        found = await figures(api)
    requests = "handrail_http_request_seconds_count"
    assert found[requests, ("POST", "/orders", "200")] == 1
    assert found[requests, ("GET", "/orders/{order}", "404")] == 1
    assert found[requests, ("GET", "unmatched", "404")] == 1
    assert found["handrail_sagas", ("completed", "Checkout")] >= 1
    at_stake = "handrail_sagas_at_stake_minor_units"
    assert found[at_stake, ("EUR", "completed", "Checkout")] >= 100_00
    lags = {labels for name, labels in found if name == "handrail_projection_lag_events"}
    assert {(name,) for name in READ_MODELS} <= lags
    assert found["handrail_projection_parked_events", ("order_status",)] == 0
    assert found["handrail_database_up", ()] == 1
