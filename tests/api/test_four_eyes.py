"""What moves money is done once a second person approves it, in both names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.api.shop import open_shop, place, problem
from tests.controls import a_customer

CALLERS = Callers(
    {
        "anna": caller("anna", "operator"),
        "olaf": caller("olaf", "operator"),
        "bert": caller("bert", "approver"),
        "both": caller("anna", "operator", "approver"),
    }
)
SAID = "Ann Canary rang about it"
HIGH = {"limit": {"amount": 10_000_01, "currency": "EUR"}}


@pytest.fixture(scope="module")
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api(authentication=CALLERS, four_eyes=True) as client:
        yield client


async def assign(
    api: httpx.AsyncClient, word: str, customer: str, body: Any = HIGH, **headers: str
) -> httpx.Response:
    path = f"/customers/{customer}/limit"
    return await api.put(path, json=body, headers=signed_in(word) | headers)


async def proposed(api: httpx.AsyncClient, customer: str) -> str:
    answer = await assign(api, "anna", customer)
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "proposed"
    return str(answer.json()["proposal"])


def approving(proposal: str) -> dict[str, str]:
    return {"Handrail-Approves": proposal}


async def limits_of(house: House, customer: str) -> list[tuple[Any, ...]]:
    return await house.sql(
        "SELECT (data->'limit'->>'amount')::int, metadata->>'actor' FROM events WHERE stream = %s",
        f"credit-{customer}",
    )


async def test_a_high_limit_waits_for_a_second_person(api: httpx.AsyncClient, house: House) -> None:
    customer = a_customer()
    proposal = await proposed(api, customer)
    assert await limits_of(house, customer) == []
    shown = (await api.get(f"/proposals/{proposal}", headers=signed_in("bert"))).json()
    assert shown["action"] == f"PUT /customers/{customer}/limit"
    assert shown["body"] == HIGH
    assert (shown["proposed_by"], shown["approved_by"]) == ("person:anna", "")


async def test_what_was_approved_is_done_in_both_names(
    api: httpx.AsyncClient, house: House
) -> None:
    customer = a_customer()
    proposal = await proposed(api, customer)
    answer = await assign(api, "bert", customer, **approving(proposal))
    assert answer.status_code == 200, answer.text
    assert await limits_of(house, customer) == [(10_000_01, "person:bert for person:anna")]
    events = await house.sql(
        "SELECT type, metadata->>'actor' FROM events WHERE stream = %s ORDER BY version",
        f"proposal-{proposal}",
    )
    assert events == [("ActionProposed", "person:anna"), ("ActionApproved", "person:bert")]


async def test_a_limit_below_the_bound_needs_one_person(api: httpx.AsyncClient) -> None:
    low = {"limit": {"amount": 10_000_00, "currency": "EUR"}}
    assert (await assign(api, "anna", a_customer(), low)).status_code == 200


async def test_who_has_proposed_it_may_not_approve_it(api: httpx.AsyncClient, house: House) -> None:
    customer = a_customer()
    proposal = await proposed(api, customer)
    answer = await assign(api, "both", customer, **approving(proposal))
    assert "second person" in problem(answer, 403, "second-person-needed")["detail"]
    assert await limits_of(house, customer) == []


async def test_a_second_operator_may_not_approve_it(api: httpx.AsyncClient) -> None:
    customer = a_customer()
    proposal = await proposed(api, customer)
    answer = await assign(api, "olaf", customer, **approving(proposal))
    assert "proposals:approve" in problem(answer, 403, "scope-missing")["detail"]


async def test_an_approver_may_do_nothing_that_was_not_proposed(
    api: httpx.AsyncClient, house: House
) -> None:
    customer, other = a_customer(), a_customer()
    problem(await assign(api, "bert", customer), 403, "scope-missing")
    problem(await assign(api, "bert", customer, **approving("none")), 404, "not-found")
    proposal = await proposed(api, customer)
    higher = {"limit": {"amount": 99_000_00, "currency": "EUR"}}
    low = {"limit": {"amount": 1, "currency": "EUR"}}
    for body, of in ((higher, customer), (low, customer), (HIGH, other)):
        answer = await assign(api, "bert", of, body, **approving(proposal))
        problem(answer, 409, "proposal-differs")
    assert await limits_of(house, customer) == await limits_of(house, other) == []


async def test_the_same_proposal_twice_is_one(api: httpx.AsyncClient) -> None:
    customer, key = a_customer(), {"Idempotency-Key": f"prop-{uuid4().hex}"}
    first = await assign(api, "anna", customer, **key)
    again = await assign(api, "anna", customer, **key)
    assert first.json() == again.json()
    other = {"limit": {"amount": 99_000_00, "currency": "EUR"}}
    problem(await assign(api, "anna", customer, other, **key), 409, "content-differs")


async def test_an_approval_that_is_repeated_is_one(api: httpx.AsyncClient, house: House) -> None:
    customer = a_customer()
    proposal = await proposed(api, customer)
    headers = approving(proposal) | {"Idempotency-Key": proposal}
    for _ in range(2):
        assert (await assign(api, "bert", customer, **headers)).status_code == 200
    assert len(await limits_of(house, customer)) == 1


@pytest.mark.quick(2)
@pytest.mark.parametrize("kind", ["skip", "resolve", "correct", "compensate"])
async def test_an_intervention_but_for_a_retry_waits_for_a_second_person(
    api: httpx.AsyncClient, kind: str
) -> None:
    body: dict[str, Any] = {"kind": kind, "reason": "a test"}
    body |= {"evidence": "ticket 7"} if kind in {"skip", "resolve"} else {}
    body |= {"correction": {"ship_to": "a-2"}} if kind == "correct" else {}
    headers = signed_in("anna") | {"Idempotency-Key": uuid4().hex}
    answer = await api.post("/sagas/no-such/interventions", json=body, headers=headers)
    assert answer.json()["status"] == "proposed", answer.text
    many = body | {"filter": {"step": "BookShipment"}, "dry_run": False}
    headers = signed_in("anna") | {"Idempotency-Key": uuid4().hex}
    answer = await api.post("/interventions", json=many, headers=headers)
    assert answer.json()["status"] == "proposed", answer.text


async def test_an_intervention_in_many_is_approved_as_its_proposal_is_shown(
    api: httpx.AsyncClient,
) -> None:
    """The tenant is stored under a name of the library, and shown in the word of the App."""
    body = {
        "kind": "compensate",
        "reason": "a test",
        "filter": {"merchant": "m-none", "older_than_seconds": 9},
        "dry_run": False,
    }
    headers = signed_in("anna") | {"Idempotency-Key": uuid4().hex}
    proposal = (await api.post("/interventions", json=body, headers=headers)).json()["proposal"]
    shown = (await api.get(f"/proposals/{proposal}", headers=signed_in("bert"))).json()
    assert shown["body"]["filter"] == body["filter"]
    headers = signed_in("bert") | approving(proposal) | {"Idempotency-Key": proposal}
    done = await api.post("/interventions", json=shown["body"], headers=headers)
    assert done.status_code == 202, done.text
    assert done.json()["state"] == "running"


async def test_what_a_proposal_says_of_a_person_is_sealed_and_erased_with_them(
    api: httpx.AsyncClient, house: House
) -> None:
    async with house.api() as everybody:
        shop = await open_shop(everybody)
        order = (await place(everybody, shop)).json()["order"]
    body = {"kind": "skip", "reason": SAID, "evidence": "a letter"}
    headers = signed_in("anna") | {"Idempotency-Key": uuid4().hex}
    answer = await api.post(f"/sagas/{order}/interventions", json=body, headers=headers)
    proposal = answer.json()["proposal"]
    [(data,)] = await house.sql(
        "SELECT data::text FROM events WHERE stream = %s", f"proposal-{proposal}"
    )
    assert SAID not in data
    shown = await api.get(f"/proposals/{proposal}", headers=signed_in("bert"))
    assert shown.json()["body"]["reason"] == SAID

    await house.personal.destroy(f"customer:{shop.customer}", "a test")
    shown = await api.get(f"/proposals/{proposal}", headers=signed_in("bert"))
    assert shown.json()["body"] == {}
    headers = signed_in("bert") | approving(proposal) | {"Idempotency-Key": proposal}
    answer = await api.post(f"/sagas/{order}/interventions", json=body, headers=headers)
    problem(answer, 409, "proposal-differs")


async def test_a_retry_needs_one_person(api: httpx.AsyncClient) -> None:
    body = {"kind": "retry", "reason": "a test"}
    headers = signed_in("anna") | {"Idempotency-Key": uuid4().hex}
    answer = await api.post("/sagas/no-such/interventions", json=body, headers=headers)
    problem(answer, 404, "not-found")


async def test_a_run_of_payouts_waits_for_a_second_person(api: httpx.AsyncClient) -> None:
    answer = await api.post("/payouts", json={"minimum": 1}, headers=signed_in("anna"))
    assert answer.json()["status"] == "proposed", answer.text


async def test_where_it_is_off_one_person_is_enough(house: House) -> None:
    async with house.api(authentication=CALLERS) as api:
        assert (await assign(api, "anna", a_customer())).status_code == 200
