"""The HTTP application of an App that is not the shop: its routes, problems, tags and webhooks."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
from fastapi import APIRouter
from fastapi import FastAPI as Application
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine

from handrail.access.authentication import Development
from handrail.access.roles import Access
from handrail.app import App
from handrail.errors import ContentDiffers, DomainError
from handrail.http.access import needs
from handrail.http.dependencies import WebhookTrust
from handrail.http.problem_types import PROBLEM_TYPES, ProblemType
from handrail.http.problems import MEDIA_TYPE, Problem, responses
from handrail.http.webhook_sources import Told, Webhooks, WebhookSource, WebhookType
from handrail.processes.api import lazy_client, trust_of
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from handrail.setting_types import Secrets
from handrail.settings import Settings
from handrail.webhook_signatures import new_secret, sign
from handrail.wrongly_declared import WronglyDeclared
from tests.api.conftest import House
from tests.api.shop import problem


class NoSeats(DomainError):
    """No seat is left: choose another flight."""


FULL: Final = ProblemType(
    "flight-full", 422, "The flight is full", "No seat is left.", "Choose another."
)
REWORDED: Final = ProblemType(
    "rule-broken", 422, "Not so", "No trip can be like that.", "Change it."
)
SECRET: Final = new_secret()


class TripSettings(Settings):
    airport_secrets: Secrets = ()


class Gate(BaseModel):
    flight: str


class GateChanged(Told):
    flight: str


trips = APIRouter(tags=["trips"])


@trips.get("/trips/{trip}", summary="A trip", dependencies=[needs("trips:read")])
async def show_trip(trip: str) -> Gate:
    match trip:
        case "full":
            raise Problem("flight-full", "flight HR-1 has 180 seats")
        case "broken":
            raise NoSeats
        case _:
            return Gate(flight=trip)


HOOKS: Final = Webhooks(
    sources=[
        WebhookSource(
            name="airport",
            secrets="airport_secrets",  # the name of a setting
            types={"gate.changed": WebhookType(GateChanged)},
        )
    ],
    subject_of=lambda data: str(data.flight),
    links=lambda flight: {"trip": f"/trips/{flight}"},
)
TRIPS: Final = App(
    contexts=(),
    settings=TripSettings,
    routers=lambda: [trips],
    access=Access(scopes={"trips:read": "Read trips."}),
    tags={"trips": "Trips.", "sagas": "Bookings."},
    problems=[FULL, REWORDED],
    rules={NoSeats: "flight-full"},
    saga_links=lambda saga: {"booking": f"/trips/{saga}"},
    webhooks=lambda: HOOKS,
)


async def application(app: App, **more: Any) -> Application:
    """Without PostgreSQL and Temporal: it is not asked for what they have."""
    client = await lazy_client("127.0.0.1:9", "default", app.codec)
    engine = create_async_engine("postgresql+psycopg://")
    return create_app(
        app, engine, client, RunOptions(), authentication=Development(app.access), **more
    )


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(await application(TRIPS))
    async with httpx.AsyncClient(transport=transport, base_url="http://trips") as client:
        yield client


async def test_its_routes_are_served_beside_the_librarys(api: httpx.AsyncClient) -> None:
    assert (await api.get("/trips/HR-2")).json() == {"flight": "HR-2"}
    paths = list((await api.get("/openapi.json")).json()["paths"])
    assert paths[0] == "/trips/{trip}"
    assert "/sagas/{saga}/interventions" in paths


async def test_a_wrong_method_of_its_routes_names_the_right_one(api: httpx.AsyncClient) -> None:
    answer = await api.delete("/trips/HR-2")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET"


async def test_its_problems_are_answered_and_have_a_page(api: httpx.AsyncClient) -> None:
    assert problem(await api.get("/trips/full"), 422, "flight-full")["title"] == FULL.title
    assert (await api.get("/problems/flight-full")).json()["remedy"] == FULL.remedy


async def test_a_broken_rule_is_the_problem_that_the_app_names(api: httpx.AsyncClient) -> None:
    found = problem(await api.get("/trips/broken"), 422, "flight-full")
    assert found["detail"] == NoSeats.__doc__


async def test_what_follows_from_its_parameters_is_described(api: httpx.AsyncClient) -> None:
    described = (await api.get("/openapi.json")).json()
    said = described["paths"]["/trips/{trip}"]["get"]["responses"]
    assert set(said) == {"200", "401", "403", "404", "422", "503"}
    assert list(said["422"]["content"][MEDIA_TYPE]["examples"]) == ["invalid-request"]
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_a_problem_that_does_not_exist_cannot_be_described() -> None:
    with pytest.raises(KeyError, match="not-fuond"):
        responses("not-fuond")


async def test_a_problem_of_the_library_is_in_the_words_of_the_app(api: httpx.AsyncClient) -> None:
    page = (await api.get("/problems/rule-broken")).json()
    assert (page["title"], page["meaning"]) == (REWORDED.title, REWORDED.meaning)
    described = (await api.get("/openapi.json")).text
    assert REWORDED.meaning in described
    assert PROBLEM_TYPES["rule-broken"].meaning not in described


async def test_problems_of_the_app_stand_before_the_one_it_rewords(api: httpx.AsyncClient) -> None:
    slugs = [one["type"].rpartition("/")[2] for one in (await api.get("/problems")).json()["items"]]
    assert set(slugs) == {*PROBLEM_TYPES, "flight-full"}
    assert slugs[slugs.index("rule-broken") - 1] == "flight-full"


async def test_its_tags_come_first_and_reword_the_librarys(api: httpx.AsyncClient) -> None:
    tags = (await api.get("/openapi.json")).json()["tags"]
    assert [one["name"] for one in tags][:2] == ["trips", "sagas"]
    assert [one["description"] for one in tags][:2] == ["Trips.", "Bookings."]


async def test_its_sagas_are_linked_to_what_they_are_about() -> None:
    links = (await application(TRIPS)).state.services.links("trip-1")
    assert links["booking"] == "/trips/trip-1"
    assert links["saga"] == "/sagas/trip-1"


async def test_only_its_sources_may_send_webhooks(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    found = problem(
        await api.post("/webhooks/bank", content=b"{}", headers=headers), 422, "invalid-request"
    )
    assert found["errors"] == [{"parameter": "source", "detail": "Input should be 'airport'"}]


async def test_a_source_without_secrets_is_told_the_setting(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await api.post("/webhooks/airport", content=b"{}", headers=headers)
    found = problem(answer, 503, "webhook-secret-missing")
    assert found["detail"] == "HANDRAIL_AIRPORT_SECRETS is not set"


async def test_a_webhook_of_its_source_is_kept_with_what_it_is_about(house: House) -> None:
    trust = WebhookTrust({"airport": (SECRET,)})
    app = create_app(
        TRIPS,
        house.engine,
        house.temporal,
        RunOptions(),
        authentication=Development(TRIPS.access),
        webhooks_from=trust,
    )
    body = json.dumps({"type": "gate.changed", "data": {"flight": "HR-7"}}).encode()
    now = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": "gate-1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(SECRET, "gate-1", now, body),
    }
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://trips") as client:
        answer = await client.post("/webhooks/airport", content=body, headers=headers)
        figures = (await client.get("/metrics")).text
        shown = (await client.get("/webhooks")).json()["items"]
    assert answer.status_code == 202, answer.text
    assert [one["id"] for one in shown] == ["gate-1"]
    assert answer.json()["links"]["trip"] == "/trips/HR-7"
    kept = await house.sql("SELECT type, order_id, status FROM webhooks WHERE source = 'airport'")
    assert kept == [("gate.changed", "HR-7", "accepted")]
    assert 'handrail_webhooks{source="airport",status="waiting"} 0.0' in figures


async def test_what_another_app_left_is_not_listed(house: House) -> None:
    await house.sql(
        "INSERT INTO webhooks (source, id, type, body, status)"
        " VALUES ('lighthouse', 'beam-1', 'lit', '', 'waiting')"
    )
    app = create_app(
        TRIPS,
        house.engine,
        house.temporal,
        RunOptions(),
        authentication=Development(TRIPS.access),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://trips") as client:
        listed = (await client.get("/webhooks")).json()["items"]
    assert "lighthouse" not in {one["source"] for one in listed}


async def test_an_app_without_webhooks_has_no_routes_for_them() -> None:
    paths = (await application(App(contexts=()))).openapi()["paths"]
    assert not [path for path in paths if path.startswith("/webhooks")]


def test_the_secrets_of_a_source_are_those_of_its_setting() -> None:
    trust = trust_of(TRIPS, TripSettings(airport_secrets=(SECRET,), webhook_tolerance_seconds=7))
    assert trust == WebhookTrust({"airport": (SECRET,)}, 7)


def test_a_source_whose_secrets_no_setting_holds_is_refused() -> None:
    with pytest.raises(WronglyDeclared, match="airport names the setting airport_secrets"):
        trust_of(TRIPS, Settings())


@dataclass(frozen=True)
class Wrong:
    declared: dict[str, Any]
    said: str


class Twice(DomainError):
    """A rule with the name of another."""


Twice.__name__ = "ContentDiffers"
WRONG: Final = {
    "a library problem with another status": Wrong(
        {"problems": [ProblemType("not-found", 410, "", "", "")]},
        "the problem not-found of the library has the status 404, not 410",
    ),
    "two problems of one slug": Wrong({"problems": [FULL, FULL]}, "two problems are named flight-"),
    "a rule without its problem": Wrong(
        {"rules": {NoSeats: "flight-full"}},
        "the rule NoSeats names the problem flight-full, which does not exist: add it to problems",
    ),
    "two rules of one name": Wrong(
        {"rules": {Twice: "rule-broken"}}, f"two rules are named {ContentDiffers.__name__}"
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_declared_wrongly_is_refused(wrong: Wrong) -> None:
    with pytest.raises(WronglyDeclared, match=wrong.said):
        App(contexts=(), **wrong.declared)


def test_two_sources_of_one_name_are_refused() -> None:
    twice = WebhookSource(name="airport", secrets="", types={})
    with pytest.raises(WronglyDeclared, match="two webhook sources are named airport"):
        Webhooks(sources=[twice, twice])


def test_a_source_that_cannot_be_in_an_address_is_refused() -> None:
    with pytest.raises(WronglyDeclared, match="the webhook source 'air port' cannot be part of"):
        Webhooks(sources=[WebhookSource(name="air port", secrets="", types={})])
