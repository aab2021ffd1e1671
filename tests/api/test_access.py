"""Who may call a route: each says so, the rest is denied, and a refusal names what is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from handrail.access.authentication import Development
from handrail.access.roles import Access
from handrail.app import App
from handrail.http.access import PrincipalDep, needs
from handrail.http.public import PUBLIC
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from handrail.wrongly_declared import WronglyDeclared
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.api.shop import a_key, open_shop, problem, settled
from tests.api.test_applications import apply, is_in_review
from tests.controls import a_merchant

CALLERS = Callers(
    {
        "anna": caller("anna", "operator"),
        "rita": caller("rita", "reader"),
        "shop": caller("shop-frontend", "service", "operator", "approver", kind="service"),
    }
)


@pytest.fixture(scope="module")
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api(authentication=CALLERS) as client:
        yield client


def an_api(house: House, *dependencies: Any, access: Access | None = None) -> Any:
    """With one route that has these dependencies."""
    router = APIRouter()

    @router.get("/trips", dependencies=dependencies)
    async def trips() -> None:
        pass

    app = App(contexts=(), routers=lambda: [router], access=access or Access())
    return create_app(
        app, house.engine, house.temporal, RunOptions(), authentication=Development(app.access)
    )


async def test_a_route_that_does_not_say_who_may_call_it_is_refused(house: House) -> None:
    with pytest.raises(WronglyDeclared, match=r"the route GET /trips does not say .*needs\("):
        an_api(house)


async def test_a_route_that_is_public_and_needs_something_is_refused(house: House) -> None:
    with pytest.raises(WronglyDeclared, match="GET /trips is public and needs audit:read"):
        an_api(house, PUBLIC, needs("audit:read"))


async def test_a_route_that_needs_a_scope_which_does_not_exist_is_refused(house: House) -> None:
    with pytest.raises(WronglyDeclared, match="trips:raed, which does not exist: add it to"):
        an_api(house, needs("trips:raed"))


async def test_routes_within_an_included_router_are_seen(house: House) -> None:
    inner, outer = APIRouter(), APIRouter()
    inner.add_api_route("/beams", lambda: None)
    outer.include_router(inner, prefix="/lights")
    app = App(contexts=(), routers=lambda: [outer])
    with pytest.raises(WronglyDeclared, match="GET /lights/beams"):
        create_app(
            app, house.engine, house.temporal, RunOptions(), authentication=Development(app.access)
        )


async def test_an_included_router_may_say_it_for_its_routes(house: House) -> None:
    inner, outer = APIRouter(), APIRouter()
    inner.add_api_route("/beams", lambda: None)
    outer.include_router(inner, dependencies=[needs("audit:read")])
    app = App(contexts=(), routers=lambda: [outer])
    create_app(app, house.engine, house.temporal, RunOptions(), authentication=CALLERS)


async def test_nobody_is_asked_to_sign_in(api: httpx.AsyncClient) -> None:
    answer = await api.get("/sagas")
    problem(answer, 401, "not-signed-in")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="handrail"'


async def test_wrong_credentials_are_told_what_is_wrong_with_them(api: httpx.AsyncClient) -> None:
    answer = await api.get("/sagas", headers=signed_in("eve"))
    assert problem(answer, 401, "not-signed-in")["detail"] == "the word is not known"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_nobody_is_asked_to_sign_in_before_the_body_is_read(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await api.post("/orders", content=b"{not json", headers=headers)
    problem(answer, 401, "not-signed-in")


async def test_nobody_learns_which_addresses_there_are(api: httpx.AsyncClient) -> None:
    problem(await api.get("/no-such-address"), 401, "not-signed-in")


async def test_a_caller_without_the_scope_is_told_which(api: httpx.AsyncClient) -> None:
    reason = {"reason": "a test"}
    answer = await api.post("/sagas/any/cancellation", json=reason, headers=signed_in("rita"))
    found = problem(answer, 403, "scope-missing")
    said = "person:rita has not the scope sagas:intervene, which this needs"
    assert found["detail"] == said
    assert 'scope="sagas:intervene"' in answer.headers["WWW-Authenticate"]


async def test_a_caller_with_the_scope_is_served(api: httpx.AsyncClient) -> None:
    assert (await api.get("/sagas", headers=signed_in("rita"))).status_code == 200


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/problems", "/problems/not-found", "/docs", "/openapi.json"]
)
async def test_public_routes_need_nobody(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(path)).status_code == 200


async def test_the_document_says_what_each_operation_needs(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    operation = document["paths"]["/sagas/{saga}/cancellation"]["post"]
    assert operation["security"] == [{"bearer": ["sagas:intervene"]}]
    assert {"401", "403"} <= set(operation["responses"])
    assert "security" not in document["paths"]["/healthz"]["get"]


async def test_a_route_reaches_its_caller(house: House) -> None:
    router = APIRouter()

    @router.get("/me", dependencies=[needs("audit:read")])
    async def me(principal: PrincipalDep) -> Sequence[str]:
        return [principal.actor, principal.tenant]

    app = App(contexts=(), routers=lambda: [router])
    served = create_app(app, house.engine, house.temporal, RunOptions(), authentication=CALLERS)
    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url="http://trips") as client:
        answer = await client.get("/me", headers=signed_in("rita"))
    assert answer.json() == ["person:rita", ""]


async def actors_of(api: httpx.AsyncClient, stream: str) -> set[str]:
    answer = await api.get(f"/streams/{stream}", headers=signed_in("anna"))
    return {one["metadata"]["actor"] for one in answer.json()["items"]}


async def test_the_actor_of_an_event_is_the_caller(api: httpx.AsyncClient) -> None:
    api.headers.update(signed_in("anna"))
    shop = await open_shop(api)
    assert await actors_of(api, f"merchant-{shop.merchant}") == {"person:anna"}


async def test_a_caller_who_may_act_for_others_is_stored_beside_them(
    api: httpx.AsyncClient,
) -> None:
    api.headers.update(signed_in("shop") | {"Handrail-Actor": "person:bert"})
    shop = await open_shop(api)
    actors = await actors_of(api, f"merchant-{shop.merchant}")
    assert actors == {"service:shop-frontend for person:bert"}


async def test_a_caller_who_may_not_act_for_others_is_refused(api: httpx.AsyncClient) -> None:
    headers = signed_in("anna") | {"Handrail-Actor": "ceo"}
    answer = await api.put(
        "/merchants/m-1", json={"currency": "EUR", "fee_bps": 1}, headers=headers
    )
    assert "act-as" in problem(answer, 403, "scope-missing")["detail"]


async def test_a_body_names_no_other_actor_either(api: httpx.AsyncClient) -> None:
    body = {"reason": "a test", "actor": "ceo"}
    answer = await api.post("/sagas/any/cancellation", json=body, headers=signed_in("anna"))
    assert "act-as" in problem(answer, 403, "scope-missing")["detail"]


async def test_a_verdict_is_stored_with_both_names(api: httpx.AsyncClient) -> None:
    api.headers.update(signed_in("shop"))
    merchant = a_merchant()
    await apply(api, merchant)
    await is_in_review(api, merchant)
    verdict = {"approved": True, "reason": "a test", "actor": "bert@example.com"}
    path = f"/sagas/onboard-{merchant}/answers"
    answered = await api.post(path, json=verdict, headers={"Idempotency-Key": a_key()})
    assert answered.status_code == 202, answered.text
    await settled(api, f"onboard-{merchant}", "completed")
    story = (await api.get(f"/streams/saga-onboard-{merchant}")).json()["items"]
    actors = {one["data"].get("actor") for one in story}
    assert "service:shop-frontend for bert@example.com" in actors
