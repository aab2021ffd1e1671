"""Another attempt follows what the store says, whatever Temporal remembers of the ones before."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from temporalio.common import WorkflowIDReusePolicy

import handrail.sagas.execution
from handrail.http.start_input import begun_with
from handrail.sagas.options import RunOptions
from tests.api.conftest import House
from tests.api.shop import Shop, eventually, place, problem, settled
from tests.api.test_applications import apply, is_answered, is_in_review
from tests.api.test_idempotency import is_forgotten
from tests.api.test_interventions import UNDELIVERABLE, parked
from tests.controls import a_merchant
from workflows.checkout import Checkout

WHY = {"reason": "the code is mended"}


async def again(api: httpx.AsyncClient, saga: str) -> httpx.Response:
    return await api.post(f"/sagas/{saga}/attempts", json=WHY)


async def is_terminated(house: House, saga: str) -> None:
    await house.temporal.get_workflow_handle(saga).terminate("a test")


async def never_runs(house: House, saga: str, attempt: int) -> None:
    """An attempt that is terminated before a worker has seen it: its stream knows nothing of it."""
    found = await begun_with(house.temporal, saga)
    assert found is not None
    await _begun_elsewhere(house, saga, await found.argument(0, Checkout), attempt)
    await is_terminated(house, saga)


async def _begun_elsewhere(house: House, saga: str, input_: Any, attempt: int) -> None:
    await house.temporal.start_workflow(
        "Checkout",
        args=[input_, RunOptions(queue_prefix="nobody."), "a test", attempt],
        id=saga,
        task_queue="nobody.sagas",
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )


async def test_what_was_taken_back_is_not_begun_anew_by_an_attempt_that_never_ran(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    saga = (await place(api, shop, lines=[shop.line(quantity=99)])).json()["saga"]
    await settled(api, saga, "refused")
    await house.temporal.get_workflow_handle(saga).result()
    await never_runs(house, saga, attempt=2)
    assert "refused" in problem(await again(api, saga), 409, "saga-ended")["detail"]
    assert (await api.get(f"/sagas/{saga}")).json()["attempt"] == 1


async def test_what_was_completed_and_terminated_afterwards_may_be_begun_again(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    """What follows it may not have begun."""
    saga = (await place(api, shop)).json()["saga"]
    await settled(api, saga, "completed")
    await house.temporal.get_workflow_handle(saga).result()
    await never_runs(house, saga, attempt=2)
    answer = await again(api, saga)
    assert (answer.status_code, answer.json()["attempt"]) == (202, 3), answer.text


async def test_the_next_attempt_follows_the_last_in_the_stream(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    found = await begun_with(house.temporal, saga)
    assert found is not None
    input_ = await found.argument(0, Checkout)
    await is_terminated(house, saga)
    assert (await again(impatient, saga)).json()["attempt"] == 2

    async def begun() -> bool:
        return bool((await impatient.get(f"/sagas/{saga}")).json()["attempt"] == 2)

    await eventually(begun, "the second attempt has begun")
    await is_terminated(house, saga)
    await is_forgotten(house, saga)
    await _begun_elsewhere(house, saga, input_, attempt=1)
    await is_terminated(house, saga)
    answer = await again(impatient, saga)
    assert (answer.status_code, answer.json()["attempt"]) == (202, 3), answer.text


async def test_an_attempt_that_never_ran_has_its_number_all_the_same(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    await is_terminated(house, saga)
    await never_runs(house, saga, attempt=2)
    assert (await again(impatient, saga)).json()["attempt"] == 3


@pytest.mark.thorough
async def test_what_temporal_has_forgotten_is_begun_with_what_the_stream_has_kept(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    begun = await begun_with(house.temporal, saga)
    assert begun is not None
    before = await begun.argument(0, Checkout)
    await is_terminated(house, saga)
    await is_forgotten(house, saga)
    answer = await again(impatient, saga)
    assert (answer.status_code, answer.json()["attempt"]) == (202, 2), answer.text
    anew = await begun_with(house.temporal, saga)
    assert anew is not None
    assert await anew.argument(0, Checkout) == before

    async def parked_again() -> bool:
        found = (await impatient.get(f"/sagas/{saga}")).json()
        return (found["attempt"], found["status"]) == (2, "parked")

    await eventually(parked_again, "the second attempt is parked")


@pytest.mark.thorough
async def test_where_the_input_is_forgotten_everywhere_the_problem_says_what_can_be_done(
    house: House, impatient: httpx.AsyncClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a saga that began before its stream had room for it."""
    monkeypatch.setattr(handrail.sagas.execution, "_written", lambda _: "")
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    await is_terminated(house, saga)
    await is_forgotten(house, saga)
    found = problem(await again(impatient, saga), 409, "input-forgotten")
    page = (await impatient.get(found["type"])).json()
    assert "by hand" in page["remedy"]


@pytest.mark.thorough
async def test_what_has_ended_and_is_forgotten_has_ended(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    saga = (await place(api, shop)).json()["saga"]
    await settled(api, saga, "completed")
    await is_forgotten(house, saga)
    problem(await again(api, saga), 409, "saga-ended")


@pytest.mark.thorough
async def test_who_was_refused_may_apply_again_also_after_the_retention(
    house: House, api: httpx.AsyncClient
) -> None:
    merchant = a_merchant()
    await apply(api, merchant)
    await is_in_review(api, merchant)
    await is_answered(api, merchant, approved=False)
    await settled(api, f"onboard-{merchant}", "refused")
    await is_forgotten(house, f"onboard-{merchant}")
    assert (await apply(api, merchant)).status_code == 202
    await is_in_review(api, merchant)
    assert (await api.get(f"/sagas/onboard-{merchant}")).json()["attempt"] == 2
    await is_answered(api, merchant, approved=True)
    await settled(api, f"onboard-{merchant}", "completed")


@pytest.mark.thorough
async def test_who_was_taken_on_is_not_taken_on_again_after_the_retention(
    house: House, api: httpx.AsyncClient
) -> None:
    merchant = a_merchant()
    await apply(api, merchant)
    await is_in_review(api, merchant)
    await is_answered(api, merchant, approved=True)
    await settled(api, f"onboard-{merchant}", "completed")
    await is_forgotten(house, f"onboard-{merchant}")
    problem(await apply(api, merchant), 409, "out-of-order")
