"""An application has the routes of the library as they were analysed once."""

from __future__ import annotations

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from handrail.http.added_routes import add_routes


@pytest.fixture
def lights() -> APIRouter:
    router = APIRouter(prefix="/lights", tags=["lights"])

    @router.get("/{light}")
    async def show(light: int) -> int:
        return light

    return router


def operations_of(app: FastAPI) -> set[str]:
    return set(app.openapi()["paths"])


async def answer_of(app: FastAPI, path: str) -> object:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return (await client.get(path)).json()


async def test_a_route_is_analysed_once_for_all_applications(lights: APIRouter) -> None:
    one, other = FastAPI(), FastAPI()
    for app in (one, other):
        add_routes(app, lights)
        assert await answer_of(app, "/lights/7") == 7
        assert operations_of(app) == {"/lights/{light}"}
    assert one.routes[-1] is other.routes[-1] is lights.routes[0]


async def test_a_page_is_answered_and_is_not_in_the_document(lights: APIRouter) -> None:
    shown, hidden = FastAPI(), FastAPI()
    add_routes(hidden, lights, in_schema=False)
    add_routes(shown, lights)
    assert await answer_of(hidden, "/lights/7") == 7
    assert operations_of(hidden) == set()
    assert operations_of(shown) == {"/lights/{light}"}


async def test_a_router_that_holds_another_one_is_included_whole(lights: APIRouter) -> None:
    outer, app = APIRouter(prefix="/house"), FastAPI()
    outer.include_router(lights)
    add_routes(app, outer)
    assert await answer_of(app, "/house/lights/7") == 7
    assert not any(isinstance(one, APIRoute) for one in app.routes)
