"""The same request twice is done once, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError

from handrail.http.database import Database
from handrail.http.idempotency import Answered, Claim, Requests, derived_id
from handrail.http.problems import Problem
from handrail.http.start_input import begun_with
from tests.api.conftest import House
from tests.api.shop import Shop, a_key, eventually, open_shop, problem, settled
from tests.api.test_applications import apply, is_in_review
from tests.controls import a_merchant


async def post(
    api: httpx.AsyncClient, shop: Shop, key: str, *, prefer: str = "", **changes: Any
) -> httpx.Response:
    headers = {"Idempotency-Key": key, "Handrail-Token": shop.token}
    if prefer:
        headers["Prefer"] = prefer
    return await api.post("/orders", json=shop.order(**changes), headers=headers)


async def placed_with(house: House, key: str) -> int:
    order = derived_id("ord", "POST /orders", key)
    found = await house.sql("SELECT 1 FROM events WHERE stream = %s", f"order-{order}")
    return len(found)


@pytest.mark.parametrize("prefer", ["", "wait=20"])
async def test_a_repeated_request_gets_the_same_answer(
    house: House, api: httpx.AsyncClient, shop: Shop, prefer: str
) -> None:
    key = a_key()
    first = await post(api, shop, key, prefer=prefer)
    again = await post(api, shop, key, prefer=prefer)
    assert again.status_code == first.status_code
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    for name in ("Location", "Retry-After", "Handrail-Token", "Preference-Applied"):
        assert again.headers.get(name) == first.headers.get(name)
    await settled(api, first.json()["saga"])
    stream = f"saga-{first.json()['saga']}"
    started = await house.sql(
        "SELECT 1 FROM events WHERE stream = %s AND type = 'SagaStarted'", stream
    )
    assert len(started) == 1


async def test_a_quoted_key_is_the_same_key(api: httpx.AsyncClient, shop: Shop) -> None:
    key = a_key()
    first = await post(api, shop, key)
    again = await post(api, shop, f'"{key}"')
    assert again.json() == first.json()


async def test_the_order_of_the_fields_means_nothing(api: httpx.AsyncClient, shop: Shop) -> None:
    key = a_key()
    await post(api, shop, key)
    turned = dict(reversed(shop.order().items()))
    again = await api.post("/orders", json=turned, headers={"Idempotency-Key": key})
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_refusal_is_replayed_too(api: httpx.AsyncClient, shop: Shop) -> None:
    key = a_key()
    lines = [shop.line(quantity=11)]
    first = await post(api, shop, key, prefer="wait=20", lines=lines)
    again = await post(api, shop, key, prefer="wait=20", lines=lines)
    assert first.json()["decision"] == "refused"
    assert again.json() == first.json()


async def test_an_answer_outlives_what_it_was_about(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    key = a_key()
    first = await post(api, shop, key, prefer="wait=20")
    await house.sql(
        "INSERT INTO merchant_application (merchant, status, registration, documents, entry,"
        " reason, updated_at) VALUES (%s, 'withdrawn', '', '[]', '', '', now())",
        shop.merchant,
    )
    problem(await post(api, shop, a_key()), 422, "merchant-not-active")
    again = await post(api, shop, key, prefer="wait=20")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_the_same_key_for_another_body_is_refused(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    key = a_key()
    await post(api, shop, key)
    problem(await post(api, shop, key, instalments=6), 422, "idempotency-key-reused")
    assert len(await house.sql("SELECT 1 FROM requests WHERE key = %s", key)) == 1


@pytest.mark.thorough
async def test_a_request_that_is_being_worked_on_is_not_begun_again(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    key = a_key()
    slow = asyncio.create_task(post(api, shop, key, prefer="wait=20", card="card_late_1"))
    await claimed(house, key)
    answer = await post(api, shop, key, prefer="wait=20", card="card_late_1")
    problem(answer, 409, "idempotency-in-flight")
    assert answer.headers["Retry-After"] == "1"
    first = await slow
    assert (await post(api, shop, key, card="card_late_1")).json() == first.json()


async def claimed(house: House, key: str) -> None:
    await eventually(lambda: house.sql("SELECT 1 FROM requests WHERE key = %s", key), "the claim")


async def test_a_dead_claim_is_taken_over(house: House, api: httpx.AsyncClient, shop: Shop) -> None:
    """A process claimed the request, started the checkout, and died before it could say so."""
    key = a_key()
    first = await post(api, shop, key, prefer="wait=20")
    await forget_the_answer(house, key, claimed_for="-1 second")
    again = await post(api, shop, key, prefer="wait=20")
    assert "Idempotent-Replayed" not in again.headers
    assert again.json()["order"] == first.json()["order"]
    assert await placed_with(house, key) == 2, "placed and confirmed, once each"
    assert (await post(api, shop, key)).headers["Idempotent-Replayed"] == "true"


async def test_a_live_claim_is_not_taken_over(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    key = a_key()
    await post(api, shop, key)
    await forget_the_answer(house, key, claimed_for="1 minute")
    problem(await post(api, shop, key), 409, "idempotency-in-flight")


async def test_a_dead_claim_stays_bound_to_its_body(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    key = a_key()
    await post(api, shop, key)
    await forget_the_answer(house, key, claimed_for="-1 second")
    problem(await post(api, shop, key, instalments=6), 422, "idempotency-key-reused")


@pytest.mark.quick(1)
@pytest.mark.parametrize(("prefer", "status"), [("", 202), ("wait=20", 200)])
async def test_a_closed_workflow_counts_as_started_and_its_decision_stands(
    house: House, api: httpx.AsyncClient, shop: Shop, prefer: str, status: int
) -> None:
    key = a_key()
    first = await post(api, shop, key)
    workflow = house.temporal.get_workflow_handle(first.json()["saga"])
    await workflow.result()
    run = (await workflow.describe()).run_id
    await forget_the_answer(house, key, claimed_for="-1 second")
    again = await post(api, shop, key, prefer=prefer)
    assert (again.status_code, again.json()["saga"]) == (status, first.json()["saga"])
    assert again.json().get("decision", "approved") == "approved"
    assert (await workflow.describe()).run_id == run


async def test_a_claim_belongs_to_one(house: House) -> None:
    kept, key, lease = Requests(Database(house.engine)), a_key(), timedelta(minutes=1)
    asked = (kept.claim("POST /x", key, "print", lease) for _ in range(8))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    [mine] = [answer for answer in answers if isinstance(answer, Claim)]
    assert sum(isinstance(answer, Problem) for answer in answers) == 7
    await kept.give_up(mine)
    with pytest.raises(Problem, match="another body"):
        await kept.claim("POST /x", key, "other print", lease)
    heir = await kept.claim("POST /x", key, "print", lease)
    assert isinstance(heir, Claim)
    await kept.keep(mine, Answered(202, {"by": "who lost the claim"}))
    assert (await house.sql("SELECT status FROM requests WHERE key = %s", key)) == [(None,)]
    await kept.keep(heir, Answered(202, {"by": "the heir"}))
    answer = await kept.claim("POST /x", key, "print", lease)
    assert isinstance(answer, Answered)
    assert answer.body == {"by": "the heir"}


async def forget_the_answer(house: House, key: str, *, claimed_for: str) -> None:
    await house.sql(
        "UPDATE requests SET status = NULL, headers = NULL, body = NULL,"
        " claimed_until = now() + %s::interval WHERE key = %s",
        claimed_for,
        key,
    )


async def test_many_at_once_start_one_checkout(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    key = a_key()
    answers = await asyncio.gather(*(post(api, shop, key, prefer="wait=20") for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    decided = [answer.json() for answer in answers if answer.status_code == 200]
    assert decided
    assert all(one == decided[0] for one in decided)
    await settled(api, decided[0]["saga"])
    assert await placed_with(house, key) == 2


async def test_a_request_that_failed_may_be_mended_under_its_key(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    key = a_key()
    problem(await post(api, shop, key, instalments=0), 422, "invalid-request")
    assert (await post(api, shop, key)).status_code == 202


# A key is forgotten after some days. What was begun with it is not.


async def is_pruned(house: House, key: str) -> None:
    await house.sql("DELETE FROM requests WHERE key = %s", key)


async def is_forgotten(house: House, workflow: str) -> None:
    """As after Temporal's retention."""
    with contextlib.suppress(WorkflowFailureError):
        await house.temporal.get_workflow_handle(workflow).result()
    await house.temporal.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=house.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow),
        )
    )

    async def forgotten() -> bool:
        return await begun_with(house.temporal, workflow) is None

    await eventually(forgotten, f"Temporal has forgotten {workflow}")


@pytest.mark.quick(1)
@pytest.mark.parametrize("prefer", [pytest.param("", marks=pytest.mark.thorough), "wait=20"])
@pytest.mark.parametrize("forgotten", [False, True])
async def test_an_order_is_not_answered_with_the_decision_on_another(
    house: House, api: httpx.AsyncClient, shop: Shop, prefer: str, *, forgotten: bool
) -> None:
    key, other = a_key(), await open_shop(api)
    first = (await post(api, shop, key, prefer="wait=20")).json()
    workflow = house.temporal.get_workflow_handle(first["order"])
    await workflow.result()
    if forgotten:
        await is_forgotten(house, first["order"])
    await is_pruned(house, key)
    problem(await post(api, other, key, prefer=prefer), 409, "content-differs")
    assert await placed_with(house, key) == 2, "placed and confirmed, once each"
    assert await house.sql("SELECT FROM requests WHERE key = %s", key) == []
    assert await house.sql("SELECT FROM saga_places WHERE merchant = %s", other.merchant) == []
    if forgotten:
        with pytest.raises(RPCError):
            await workflow.describe()
    else:
        assert (await workflow.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_an_order_that_is_repeated_after_its_key_was_pruned_is_the_same(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    key = a_key()
    first = await post(api, shop, key, prefer="wait=20")
    await is_pruned(house, key)
    again = await post(api, shop, key, prefer="wait=20")
    assert again.json() == first.json()
    assert await placed_with(house, key) == 2


async def test_an_intervention_in_many_is_not_answered_for_another_of_the_same_id(
    house: House, api: httpx.AsyncClient
) -> None:
    key, meant = a_key(), a_merchant()
    wish = {"filter": {"merchant": meant}, "kind": "retry", "reason": "a test", "dry_run": False}

    async def ask(**changes: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        return await api.post("/interventions", json=wish | changes, headers=headers)

    assert (await ask()).status_code == 202
    await is_pruned(house, key)
    problem(await ask(kind="compensate"), 409, "content-differs")
    assert (await ask()).status_code == 202


async def test_an_application_is_not_answered_for_another_with_the_same_key(
    house: House, api: httpx.AsyncClient
) -> None:
    merchant, key = a_merchant(), a_key()
    await apply(api, merchant, key=key)
    await is_in_review(api, merchant)
    await is_pruned(house, key)
    problem(await apply(api, merchant, key=key, fee_bps=300), 409, "content-differs")
    assert (await apply(api, merchant, key=key)).status_code == 202
