"""Who applies over HTTP sells once a person said yes, and may apply again after a no."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from domain.identifiers import MerchantId
from domain.settlement.commands import SubmitApplication
from tests.api.conftest import House
from tests.api.shop import a_key, open_shop, place, problem, read, settled
from tests.controls import NOON, a_merchant

KINDS = ("identity", "bank_account", "registration")


async def apply(
    api: httpx.AsyncClient, merchant: str, *, key: str = "", **changes: Any
) -> httpx.Response:
    body = {
        "registration": "reg_ok",
        "documents": [{"kind": kind, "reference": f"doc-{kind}"} for kind in KINDS],
        "currency": "EUR",
        "fee_bps": 250,
    } | changes
    return await api.post(
        f"/merchants/{merchant}/application", json=body, headers={"Idempotency-Key": key or a_key()}
    )


async def is_in_review(api: httpx.AsyncClient, merchant: str) -> None:
    await read(
        api,
        f"/merchants/{merchant}/application",
        lambda found: found["status"] == "in_review",
    )
    await settled(api, f"onboard-{merchant}", "awaiting")


async def is_answered(api: httpx.AsyncClient, merchant: str, *, approved: bool) -> None:
    answered = await api.post(
        f"/sagas/onboard-{merchant}/answers",
        json={"approved": approved, "reason": "looked into it"},
        headers={"Idempotency-Key": a_key()},
    )
    assert answered.status_code == 202, answered.text


async def test_an_approved_merchant_is_active_and_has_an_account(api: httpx.AsyncClient) -> None:
    merchant = a_merchant()
    answer = await apply(api, merchant)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/sagas/onboard-{merchant}"
    await is_in_review(api, merchant)
    await is_answered(api, merchant, approved=True)
    path = f"/merchants/{merchant}/application"
    await read(api, path, lambda found: found["status"] == "active")
    assert (await api.get(f"/merchants/{merchant}/balance")).status_code == 200
    await settled(api, f"onboard-{merchant}", "completed")


@pytest.mark.thorough
async def test_who_was_declined_may_apply_again_under_a_new_key(api: httpx.AsyncClient) -> None:
    merchant, key = a_merchant(), a_key()
    await apply(api, merchant, key=key)
    await is_in_review(api, merchant)
    await is_answered(api, merchant, approved=False)
    await settled(api, f"onboard-{merchant}", "refused")
    again = await apply(api, merchant, key=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await api.get(f"/sagas/onboard-{merchant}")).json()["status"] == "refused"
    assert (await apply(api, merchant)).status_code == 202
    await is_in_review(api, merchant)
    assert (await api.get(f"/sagas/onboard-{merchant}")).json()["attempt"] == 2
    await is_answered(api, merchant, approved=True)
    await settled(api, f"onboard-{merchant}", "completed")


async def test_nobody_can_order_from_a_merchant_who_was_not_accepted(
    api: httpx.AsyncClient,
) -> None:
    shop = await open_shop(api)
    merchant = a_merchant()
    await apply(api, merchant)
    await is_in_review(api, merchant)
    problem(await place(api, shop, merchant=merchant), 422, "merchant-not-active")
    await is_answered(api, merchant, approved=False)
    await settled(api, f"onboard-{merchant}", "refused")
    problem(await place(api, shop, merchant=merchant), 422, "merchant-not-active")


async def test_while_one_application_is_looked_at_there_is_no_other(
    api: httpx.AsyncClient,
) -> None:
    merchant = a_merchant()
    await apply(api, merchant)
    await is_in_review(api, merchant)
    problem(await apply(api, merchant), 409, "out-of-order")


async def test_a_request_whose_answer_was_not_kept_is_not_begun_twice(
    api: httpx.AsyncClient, house: House
) -> None:
    merchant, key = a_merchant(), a_key()
    first = await apply(api, merchant, key=key)
    await house.sql(
        "UPDATE requests SET status = NULL, body = NULL, headers = NULL,"
        " claimed_until = now() - interval '1 day' WHERE key = %s",
        key,
    )
    again = await apply(api, merchant, key=key)
    assert (again.status_code, again.json()) == (202, first.json())
    await is_in_review(api, merchant)
    assert (await api.get(f"/sagas/onboard-{merchant}")).json()["attempt"] == 1


async def test_missing_papers_are_named(api: httpx.AsyncClient) -> None:
    merchant = a_merchant()
    await apply(api, merchant, documents=[])
    found = await read(
        api, f"/merchants/{merchant}/application", lambda found: found["status"] == "incomplete"
    )
    assert "bank account" in found["reason"]


async def test_a_merchant_who_sells_goes_on_whatever_somebody_sends_in(
    api: httpx.AsyncClient, house: House
) -> None:
    shop = await open_shop(api)
    await place(api, shop)  # it waits until the read models know the shop
    for documents in ([], [{"kind": kind, "reference": "doc"} for kind in KINDS]):
        problem(await apply(api, shop.merchant, documents=documents), 409, "out-of-order")
    # As older code took it: an application without papers, of a merchant who has an account.
    processes = house.processes
    incomplete = SubmitApplication(
        merchant=MerchantId(shop.merchant), registration="r", documents=(), submitted_at=NOON
    )
    await processes.do(incomplete, key=a_key(), actor="test")
    path = f"/merchants/{shop.merchant}/application"
    await read(api, path, lambda found: found["status"] == "incomplete")
    assert (await place(api, shop)).status_code == 200


async def test_who_never_applied_has_no_application(api: httpx.AsyncClient) -> None:
    problem(await api.get("/merchants/nobody-at-all/application"), 404, "not-found")
