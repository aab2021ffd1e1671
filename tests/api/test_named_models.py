"""Fields that the App names: in queries, bodies, answers, problems and the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Final

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Response
from pydantic import BaseModel

from handrail.http.named_models import named, router_for
from handrail.http.pagination import Page, PageQuery
from handrail.http.schemas import Asked
from handrail.tenant_word import TENANT_FIELD

BASE: Final = "http://here"


class Told(BaseModel):
    tenant: Annotated[str, TENANT_FIELD]
    name: str = ""


class ListQuery(PageQuery):
    tenant: Annotated[str | None, TENANT_FIELD] = None


class Which(Asked):
    tenant: Annotated[str | None, TENANT_FIELD] = None


class Wanted(Asked):
    which: Which


def noted(response: Response) -> None:
    response.headers["X-Noted"] = "yes"


router = APIRouter(dependencies=[Depends(noted)])


@router.get("/things")
async def things(query: Annotated[ListQuery, Query()]) -> Page[Told]:
    return Page(items=[named(Told, "team")(tenant=query.tenant or "", name=str(query.filters))])


@router.post("/things")
async def wanted(asked: Wanted) -> Told:
    return named(Told, "team")(tenant=asked.which.tenant or "")


@router.get("/other")
async def other() -> dict[str, str]:
    return {}


def app() -> FastAPI:
    made = FastAPI()
    made.include_router(router_for(router, "team"))
    return made


async def ask(method: str, path: str, **how: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app())
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
        return await http.request(method, path, **how)


async def test_a_query_an_answer_and_a_filter_have_the_word() -> None:
    found = (await ask("GET", "/things?team=sales")).json()["items"]
    assert found == [{"team": "sales", "name": "{'team': 'sales'}"}]


async def test_a_body_has_the_word() -> None:
    answer = await ask("POST", "/things", json={"which": {"team": "sales"}})
    assert answer.json() == {"team": "sales", "name": ""}


@pytest.mark.parametrize("name", ["tenant", "merchant"])
async def test_another_name_is_refused_where_it_stands(name: str) -> None:
    answer = await ask("POST", "/things", json={"which": {name: "sales"}})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "which", name]


async def test_what_the_router_depends_on_stays() -> None:
    assert (await ask("GET", "/things")).headers["X-Noted"] == "yes"


def test_the_document_has_the_word() -> None:
    document = app().openapi()
    parameters = document["paths"]["/things"]["get"]["parameters"]
    assert [one["name"] for one in parameters] == ["limit", "cursor", "team"]
    schemas = document["components"]["schemas"]
    assert list(schemas["Told"]["properties"]) == ["team", "name"]
    assert list(schemas["Which"]["properties"]) == ["team"]


def test_a_model_and_a_router_without_such_a_field_stay_themselves() -> None:
    class Plain(BaseModel):
        name: str

    plain = APIRouter()
    plain.add_api_route("/other", other)
    assert named(Plain, "team") is Plain
    assert router_for(plain, "team") is plain
