"""Every act of an operator is an event: asked for, answered, refused; with principal and origin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy.ext.asyncio import create_async_engine

from handrail.access.principal import Principal
from handrail.audit.acts import EVENTS
from handrail.http.access import _declared
from handrail.http.operator_audit import Refusals, operator_scopes
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from runtime.app import HANDRAIL
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import API, DEVELOPMENT, House
from tests.api.shop import problem
from tests.controls import a_merchant

PATH = {
    "saga": "no-such-saga",
    "proposal": "no-such-proposal",
    "intervention": "no-such-intervention",
    "exchange": "money",
    "name": "finance",
    "message": "msg_none",
    "stream": "order-none",
    "source": "bank",
    "id": "msg_none",
    "endpoint": "whe_none",
    "delivery": "msg_none",
    "vhost": "finance",
    "queue": "dead",
    "customer": "c-1",
    "merchant": "m-1",
    "order": "o-1",
    "return_id": "r-1",
    "day": "2026-03-02",
    "run": "2026-03-02",
}


@cache
def acts_of_operators() -> list[tuple[str, str]]:
    """Method and path of every changing route that needs a scope of operators."""
    scopes = operator_scopes(HANDRAIL.access)
    nowhere: Any = None
    engine = create_async_engine("postgresql+psycopg://nowhere")
    app = create_app(HANDRAIL, engine, nowhere, RunOptions(), authentication=DEVELOPMENT)
    return sorted(
        (method, route.path or "")
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute) and scopes & set(_declared(route)[1])
        for method in set(route.methods or ()) & {"POST", "PUT", "PATCH", "DELETE"}
    )


@pytest.fixture
def anna() -> str:
    return f"anna-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def known() -> dict[str, Principal]:
    return {}


@pytest.fixture(scope="module")
async def audited_api(
    house: House, known: dict[str, Principal]
) -> AsyncIterator[httpx.AsyncClient]:
    """Made once: an application takes longer to make than all that a test here does with it."""
    async with house.api(authentication=Callers(known)) as client:
        client.headers.update(signed_in("anna"))
        yield client


@pytest.fixture
def api(
    audited_api: httpx.AsyncClient, known: dict[str, Principal], anna: str
) -> httpx.AsyncClient:
    """For callers that no other test has."""
    known["anna"] = caller(anna, "operator", "approver")
    known["rita"] = caller(f"rita-{anna}", "reader")
    known["front"] = caller(f"front-{anna}", "service", "operator", kind="service")
    return audited_api


async def audited(house: House, principal: str) -> list[tuple[str, dict[str, Any]]]:
    """What the store holds of a principal's acts, in their order."""
    return await house.sql(
        "SELECT type, data FROM events WHERE stream LIKE 'audit-%%' AND type = ANY (%s)"
        " AND data ->> 'principal' = %s ORDER BY position",
        [one.__name__ for one in EVENTS],
        principal,
    )


def test_these_routes_are_acts_of_operators() -> None:
    found = {path for _, path in acts_of_operators()}
    assert {"/sagas/{saga}/interventions", "/sagas/{saga}/cancellation", "/interventions"} <= found
    assert {"/consumers/{name}/parked/{stream}/retry", "/merchants/{merchant}"} <= found
    assert not {"/orders", "/merchants/{merchant}/stock"} & found


@pytest.mark.quick(8)
@pytest.mark.parametrize(("method", "path"), acts_of_operators())
async def test_an_act_is_stored_with_its_principal_origin_reason_and_outcome(
    house: House, api: httpx.AsyncClient, anna: str, method: str, path: str
) -> None:
    answer = await api.request(
        method, path.format_map(PATH), json={"reason": "a ticket"}, headers={"Prefer": "wait=0"}
    )
    (asked, request), (said, outcome) = await audited(house, f"person:{anna}")
    assert (asked, said) == ("OperatorActRequested", "OperatorActAnswered")
    assert request["act"] == outcome["act"] == f"{method} {path}"
    assert request["target"] == path.format_map(PATH)
    assert request["origin"] == "http 127.0.0.1"
    assert request["request"] == outcome["request"] == answer.headers["X-Request-Id"]
    assert (await house.personal.open(request))["reason"] == "a ticket"
    assert request["reason"] != "a ticket"
    assert outcome["status"] == answer.status_code


@pytest.mark.quick(8)
@pytest.mark.parametrize(("method", "path"), acts_of_operators())
async def test_an_act_without_the_right_to_it_is_stored_as_refused(
    house: House, api: httpx.AsyncClient, anna: str, method: str, path: str
) -> None:
    answer = await api.request(method, path.format_map(PATH), json={}, headers=signed_in("rita"))
    assert answer.status_code == 403, answer.text  # the console answers with a page
    [(kind, refused)] = await audited(house, f"person:rita-{anna}")
    assert kind == "OperatorActRefused"
    assert (refused["act"], refused["problem"]) == (f"{method} {path}", "scope-missing")
    assert (refused["origin"], refused["count"]) == ("http 127.0.0.1", 1)


async def test_a_path_that_cannot_be_stored_is_stored_with_a_mark(
    house: House, api: httpx.AsyncClient, anna: str
) -> None:
    answer = await api.put("/customers/a%00b/limit", json={})
    assert answer.status_code == 422
    [(_, request), _] = await audited(house, f"person:{anna}")
    assert request["target"] == "/customers/a\N{REPLACEMENT CHARACTER}b/limit"


@pytest.mark.parametrize("path", ["/read-models/{}/retry", "/sagas/{}/cancellation"])
async def test_an_act_on_what_can_be_no_id_is_stored_and_refused(
    house: House, api: httpx.AsyncClient, anna: str, path: str
) -> None:
    answer = await api.post(path.format("a%00b"), json={"reason": "a ticket"})
    problem(answer, 422, "invalid-request")
    [(_, request), _] = await audited(house, f"person:{anna}")
    assert request["target"] == path.format("a\N{REPLACEMENT CHARACTER}b")


async def test_an_act_for_another_names_both(
    house: House, api: httpx.AsyncClient, anna: str
) -> None:
    headers = {**signed_in("front"), "Handrail-Actor": "bert"}
    await api.post("/sagas/none/cancellation", json={"reason": "r"}, headers=headers)
    [(_, request), _] = await audited(house, f"service:front-{anna}")
    assert request["acting_for"] == "bert"
    found = await api.get("/events", params={"actor": f"service:front-{anna} for bert"})
    kinds = [one["type"] for one in found.json()["items"]]
    assert kinds == ["OperatorActAnswered", "OperatorActRequested"]


async def test_what_the_business_itself_does_is_no_act(
    house: House, api: httpx.AsyncClient, anna: str
) -> None:
    await api.post("/orders", json={})
    await api.get("/sagas")
    assert await audited(house, f"person:{anna}") == []


async def test_refusals_that_repeat_are_counted_and_not_stored_each(
    house: House, api: httpx.AsyncClient, anna: str
) -> None:
    for _ in range(20):
        await api.post("/sagas/none/cancellation", json={}, headers=signed_in("rita"))
    assert len(await audited(house, f"person:rita-{anna}")) == 1


def test_the_next_refusal_after_a_minute_says_how_many_there_were() -> None:
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    first = refusals.due("person:eve", "POST /x")
    assert first is not None
    assert first[0] == 1
    assert [refusals.due("person:eve", "POST /x") for _ in range(5)] == [None] * 5
    now[0] = 61.0
    later = refusals.due("person:eve", "POST /x")
    assert later is not None
    assert later[0] == 6


def test_many_principals_fill_the_store_no_faster() -> None:
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    due = [refusals.due(f"person:{number}", "POST /x") for number in range(2_000)]
    assert sum(one is not None for one in due) == 60


@pytest.fixture
async def mute(house: House) -> AsyncIterator[None]:
    """The API's login may not append what it audits."""
    call = "FUNCTION append_audit(jsonb, jsonb, jsonb)"
    await house.sql(f"REVOKE EXECUTE ON {call} FROM {API}")
    yield
    await house.sql(f"GRANT EXECUTE ON {call} TO {API}")


@pytest.mark.usefixtures("mute")
async def test_an_act_that_cannot_be_stored_is_not_done(
    house: House, api: httpx.AsyncClient
) -> None:
    merchant = a_merchant()
    answer = await api.put(f"/merchants/{merchant}", json={"currency": "EUR", "fee_bps": 250})
    problem(answer, 503, "audit-unavailable")
    assert await house.sql("SELECT FROM streams WHERE name = %s", f"merchant-{merchant}") == []


@pytest.mark.usefixtures("mute")
async def test_a_refusal_that_cannot_be_stored_stays_one(api: httpx.AsyncClient) -> None:
    answer = await api.post("/sagas/none/cancellation", json={}, headers=signed_in("rita"))
    problem(answer, 403, "scope-missing")
