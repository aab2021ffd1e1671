"""Alive, ready, and how it is doing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from handrail.http.routes.saga_figures import quantile
from handrail.projections.saga_figures import BUCKETS
from tests.api.conftest import House
from tests.api.shop import Shop, eventually, place, problem, read, settled

READ_MODELS = {
    "order_status",
    "customer_account",
    "merchant_balance",
    "stock_level",
    "saga_board",
    "saga_figures",
}


@pytest.fixture
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """An API that has looked at nothing yet: what a check found is kept for a second."""
    async with house.api() as client:
        yield client


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
    [(version,)] = await house.sql("SELECT max(version_num) FROM alembic_version")
    await house.sql(
        "UPDATE alembic_version SET version_num = '0000' WHERE version_num = %s", version
    )
    try:
        found = problem(await api.get("/readyz"), 503, "not-ready")
    finally:
        await house.sql(
            "UPDATE alembic_version SET version_num = %s WHERE version_num = '0000'", version
        )
    [wrong] = found["errors"]
    assert wrong["parameter"] == "migrations"
    assert "0000" in wrong["detail"]


OF_ANOTHER_VERSION = "UPDATE read_models SET version = version + {} WHERE name = 'stock_level'"


async def test_a_read_model_with_columns_of_another_version_is_not_ready(
    house: House, api: httpx.AsyncClient
) -> None:
    await house.sql(OF_ANOTHER_VERSION.format(97))
    await house.sql("ALTER TABLE stock_level RENAME COLUMN available TO free")
    try:
        found = problem(await api.get("/readyz"), 503, "not-ready")
    finally:
        await house.sql("ALTER TABLE stock_level RENAME COLUMN free TO available")
        await house.sql(OF_ANOTHER_VERSION.format(-97))
    [wrong] = found["errors"]
    assert wrong["parameter"] == "read models"
    assert wrong["detail"].startswith("stock_level is at version")


async def test_a_read_model_of_another_version_with_the_same_columns_is_ready(
    house: House, api: httpx.AsyncClient
) -> None:
    """While it is exchanged both releases serve from it."""
    await house.sql(OF_ANOTHER_VERSION.format(97))
    try:
        answer = await api.get("/readyz")
    finally:
        await house.sql(OF_ANOTHER_VERSION.format(-97))
    assert answer.status_code == 200, answer.text


async def test_a_database_that_a_newer_release_migrated_is_ready(
    house: House, api: httpx.AsyncClient
) -> None:
    [(version,)] = await house.sql(
        "SELECT version_num FROM alembic_version WHERE version_num ~ '^0'"
    )
    await house.sql(
        "UPDATE alembic_version SET version_num = '9999' WHERE version_num = %s", version
    )
    try:
        answer = await api.get("/readyz")
    finally:
        await house.sql(
            "UPDATE alembic_version SET version_num = %s WHERE version_num = '9999'", version
        )
    assert answer.status_code == 200, answer.text


async def test_a_projection_that_stands_still_is_not_ready(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.http.routes.operations.LAG_LIMIT", -1)
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
    parked = await house.sql("SELECT count(*) FROM parked_events WHERE projection = 'order_status'")
    assert found["handrail_projection_parked_events", ("order_status",)] == parked[0][0]
    assert found["handrail_database_up", ()] == 1


async def test_it_tells_how_far_others_are_behind_who_follow_the_feed(house: House) -> None:
    async with house.api() as api:
        await house.sql(
            "INSERT INTO checkpoints (projection, shard, since) SELECT 'relay', s, '1:1:'"
            " FROM generate_series(0, 15) AS s"
        )
        await house.sql(
            "INSERT INTO parked_events (projection, stream, position, cause)"
            " VALUES ('relay/money', 'credit-nobody', 1, 'it was tried out')"
        )
        try:
            found = await figures(api)
            readiness = (await api.get("/readyz")).json()
        finally:
            await house.sql("DELETE FROM parked_events WHERE projection = 'relay/money'")
            await house.sql("DELETE FROM checkpoints WHERE projection = 'relay'")

    assert found["handrail_follower_lag_events", ("relay",)] > 0
    assert found["handrail_follower_lag_seconds", ("relay",)] > 0
    assert found["handrail_follower_parked_events", ("relay",)] == 1
    assert ("handrail_projection_lag_events", ("relay",)) not in found
    [relay] = readiness["followers"]
    assert (relay["follower"], relay["unowned"], relay["parked"]) == ("relay", 16, 1)


COUNTED = {
    "handrail_sagas_started_total": "SagaStarted",
    "handrail_sagas_ended_total": "SagaEnded",
    "handrail_saga_decision_seconds_count": "SagaDecided",
    "handrail_sagas_parked_total": "SagaParked",
    "handrail_saga_interventions_total": "SagaResumed",
}


async def stored(house: House) -> dict[str, float]:
    """By the metric that counts them: sagas that began, decided, ended, and what became of them.

    An attempt that takes the place of one that did not end goes on with the same saga. What other
    tests of this folder have poisoned is in no figure.
    """
    found = await house.sql(
        """
        WITH checkouts AS (
            SELECT stream, version, type, lag(type)
                OVER (PARTITION BY stream, type IN ('SagaStarted', 'SagaEnded') ORDER BY version)
                IS DISTINCT FROM 'SagaStarted' AND type = 'SagaStarted' AS begins
            FROM events JOIN outbox USING (position) WHERE stream IN (SELECT stream FROM events
                WHERE type = 'SagaStarted' AND data ->> 'saga_type' = 'Checkout')
                AND data <> '{}' -- without its data: `poison.py`
        ), sagas AS (
            SELECT stream, type, count(*) FILTER (WHERE begins)
                OVER (PARTITION BY stream ORDER BY version) AS saga
            FROM checkouts
        )
        SELECT type, CASE WHEN type IN ('SagaStarted', 'SagaDecided', 'SagaEnded')
            THEN count(DISTINCT (stream, saga)) ELSE count(*) END
        FROM sagas GROUP BY type
        """
    )
    counts = dict(found)
    return {metric: counts[event] for metric, event in COUNTED.items()}


async def test_the_figures_of_sagas_are_those_of_the_store(
    house: House, api: httpx.AsyncClient, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    """Also from an API process that has just begun."""
    await settled(api, (await place(api, shop)).json()["saga"], "completed")
    await settled(api, (await place(api, shop, card="card_declined")).json()["saga"], "refused")
    lost = await place(impatient, shop, wait=None, ship_to="addr_undeliverable")
    saga = lost.json()["saga"]
    await settled(api, saga, "parked")
    retry = {"reason": "again", "kind": "retry", "id": "again-1"}
    assert (await api.post(f"/sagas/{saga}/interventions", json=retry)).is_success

    async def agree() -> dict[tuple[str, tuple[str, ...]], float] | None:
        expected = await stored(house)
        async with house.api() as fresh:
            found = await figures(fresh)
        sums = {
            metric: sum(
                value
                for (name, labels), value in found.items()
                if name == metric and "Checkout" in labels
            )
            for metric in COUNTED
        }
        return found if sums == expected else None

    found = await eventually(agree, "the figures are those of the store")
    assert found["handrail_sagas_turned_back_total", ("PaymentDeclined", "Checkout")] >= 1
    assert found["handrail_saga_steps_total", ("refused", "AuthoriseDownPayment", "Checkout")] >= 1
    assert found["handrail_sagas_parked_total", ("BookShipment", "Checkout")] >= 1
    decided = "handrail_saga_decision_seconds"
    count = found[f"{decided}_count", ("Checkout",)]
    assert found[f"{decided}_bucket", ("+Inf", "Checkout")] == count
    assert found[f"{decided}_sum", ("Checkout",)] > 0
    assert found["handrail_saga_completion_seconds_count", ("Checkout",)] >= 1
    assert found["handrail_saga_compensation_seconds_count", ("Checkout",)] >= 1
    assert found["handrail_sagas_awaiting", ("Checkout",)] == 0
    assert found["handrail_saga_parked_oldest_seconds", ("Checkout",)] >= 0
    assert ("bank", "unknown") in {labels for name, labels in found if name == "handrail_webhooks"}


async def test_people_are_told_the_figures_of_sagas(api: httpx.AsyncClient, shop: Shop) -> None:
    await settled(api, (await place(api, shop)).json()["saga"], "completed")

    def counted(found: Any) -> bool:
        return any(one["ended"].get("completed") for one in found["types"])

    found = await read(api, "/sagas/figures", counted)
    [checkouts] = [one for one in found["types"] if one["saga_type"] == "Checkout"]
    assert checkouts["started"] >= sum(checkouts["ended"].values())
    assert sum(checkouts["standing"].values()) == checkouts["started"]
    assert checkouts["completion"]["count"] == checkouts["ended"]["completed"]
    assert 0 < checkouts["decision"]["p50"] <= checkouts["decision"]["p95"]
    assert "CapturePayment" in {one["step"] for one in checkouts["steps"] if one["done"]}


@pytest.mark.parametrize(
    ("share", "counts", "seconds"),
    [
        (0.5, {0: 4}, 0.05),
        (0.5, {0: 1, 1: 1}, 0.1),
        (0.95, {0: 90, 3: 10}, 0.75),
        (0.5, {17: 3}, 14 * 86_400),
    ],
)
def test_a_share_of_durations_is_estimated_within_its_bucket(
    share: float, counts: dict[int, int], seconds: float
) -> None:
    by_bucket = [counts.get(number, 0) for number in range(len(BUCKETS))]

    assert quantile(share, by_bucket) == pytest.approx(seconds)
