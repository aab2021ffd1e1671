"""An answer that is made from a row which stands still says so, in every read model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.api.conftest import House
from tests.api.poison import heal, poison
from tests.api.shop import Shop, place, problem, settled


@pytest.fixture(autouse=True)
async def healed(house: House) -> AsyncIterator[None]:
    yield
    await heal(house)


async def test_a_row_that_stands_still_is_read_with_a_mark(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    path = f"/customers/{shop.customer}"
    before = await api.get(path, headers={"Handrail-Token": shop.token})
    await poison(house, f"credit-{shop.customer}", "LimitAssigned", "customer_account")

    after = await api.get(path)

    assert "Handrail-Parked" not in before.headers
    assert after.headers["Handrail-Parked"].startswith("1;position=")
    assert after.json() == before.json()


async def test_a_token_of_what_is_parked_is_refused_and_says_what_to_do(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    token = await poison(house, f"credit-{shop.customer}", "LimitAssigned", "customer_account")

    answer = await api.get(f"/customers/{shop.customer}", headers={"Handrail-Token": token})

    assert f"credit-{shop.customer}" in problem(answer, 503, "row-parked")["detail"]
    assert int(answer.headers["Retry-After"]) > 0
    said = (await api.get("/problems/row-parked")).json()["remedy"]
    assert "handrail projections retry" in said


async def test_a_row_whose_first_event_is_parked_is_not_said_to_be_missing(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    await api.get(f"/customers/{shop.customer}", headers={"Handrail-Token": shop.token})
    await poison(house, f"credit-{shop.customer}", "LimitAssigned", "customer_account")
    await house.sql("DELETE FROM customer_account WHERE customer = %s", shop.customer)

    problem(await api.get(f"/customers/{shop.customer}"), 503, "row-parked")


async def test_every_read_model_marks_its_rows_and_its_lists(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    order = (await place(api, shop)).json()["order"]
    await settled(api, order)
    item = f"{shop.merchant}:{shop.sku}"
    await poison(house, f"order-{order}", "OrderPlaced", "order_status")
    await poison(house, f"saga-{order}", "SagaStarted", "saga_board", "saga_figures")
    await poison(house, f"plan-{order}", "PlanOpened", "instalment_plan")
    await poison(house, f"merchant-{shop.merchant}", "MerchantAccountOpened", "merchant_balance")
    await poison(house, f"stock-{item}", "StockReceived", "stock_level")

    for path in (
        f"/orders/{order}",
        f"/sagas/{order}",
        f"/orders/{order}/plan",
        f"/merchants/{shop.merchant}/balance",
        f"/merchants/{shop.merchant}/stock/{shop.sku}",
    ):
        answer = await api.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Handrail-Parked"].startswith("1;position="), path
    for path, id_ in (
        (f"/orders?customer={shop.customer}", order),
        (f"/sagas?merchant={shop.merchant}", order),
        (f"/plans?customer={shop.customer}", order),
        (f"/merchants/{shop.merchant}/stock", item),
    ):
        answer = await api.get(path)
        assert answer.headers["Handrail-Parked"] == "1", path
        assert (answer.json()["parked"], answer.json()["incomplete"]) == ([id_], True), path
    assert (await api.get("/sagas/figures")).json()["incomplete"] is True


async def test_a_list_without_parked_rows_says_nothing(api: httpx.AsyncClient, shop: Shop) -> None:
    await place(api, shop)

    answer = await api.get(f"/orders?customer={shop.customer}")

    assert "Handrail-Parked" not in answer.headers
    assert (answer.json()["parked"], answer.json()["incomplete"]) == ([], False)


async def test_as_of_a_moment_after_a_parked_event_says_so_too(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    path = f"/customers/{shop.customer}"
    await api.get(path, headers={"Handrail-Token": shop.token})
    await poison(house, f"credit-{shop.customer}", "LimitAssigned", "customer_account")
    moment = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    then = await api.get(path, params={"as_of": moment})

    assert then.json() == (await api.get(path)).json()
    assert then.headers["Handrail-Parked"].startswith("1;position=")


@pytest.mark.thorough
async def test_a_history_longer_than_a_request_folds_is_answered_bit_by_bit(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    path = f"/merchants/{shop.merchant}/balance"
    for _ in range(3):
        await settled(api, (await place(api, shop)).json()["order"])
    moment = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answers: list[httpx.Response] = []
    async with house.api(bounds={"as_of_events": 2}) as bounded:
        while not answers or answers[-1].status_code != 200:
            answers.append(await bounded.get(path, params={"as_of": moment}))

    *refused, answered = answers
    assert refused
    for one in refused:
        assert "of about" in problem(one, 503, "history-too-long")["detail"]
        assert int(one.headers["Retry-After"]) > 0
    assert answered.json() == (await api.get(path)).json()


async def test_the_document_shows_the_mark_wherever_a_row_is_read(api: httpx.AsyncClient) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    marked = {
        path
        for path, methods in paths.items()
        if "Handrail-Parked"
        in methods.get("get", {}).get("responses", {}).get("200", {}).get("headers", {})
    }
    assert marked >= {
        "/orders",
        "/orders/{order}",
        "/orders/{order}/plan",
        "/plans",
        "/sagas",
        "/sagas/{saga}",
        "/customers/{customer}",
        "/merchants/{merchant}/balance",
        "/merchants/{merchant}/stock",
        "/merchants/{merchant}/stock/{sku}",
        "/merchants/{merchant}/application",
        "/interventions",
        "/interventions/{intervention}",
    }
