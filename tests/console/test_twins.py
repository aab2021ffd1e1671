"""Every button of the console has a twin on the command line and one in the HTTP API."""

from __future__ import annotations

import re
import shlex
from typing import Final

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from handrail.access.authentication import Development
from handrail.cli.main import app as command_line
from handrail.console.actions import ACTIONS, IN_MANY, Action
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from runtime.app import HANDRAIL
from tests.api.conftest import House
from tests.console.parked import Parked, forms_of, shown

SIGNING: Final = {"/console/sign-in", "/console/sign-out"}
WORDS: Final = {
    "saga": "ord-1",
    "intervention": "int-1",
    "name": "finance",
    "stream": "order-1",
    "exchange": "money",
    "proposal": "prop-1",
    "kind": "retry",
    "vhost": "finance",
    "queue": "dead",
    "message": "0123456789abcdef0123456789abcdef",
}


def named(one: Action) -> str:
    return one.name


async def test_every_form_of_the_routes_is_an_action_and_every_action_has_a_route(
    house: House,
) -> None:
    app = create_app(
        HANDRAIL,
        house.engine,
        house.temporal,
        RunOptions(),
        authentication=Development(HANDRAIL.access),
    )
    posts = {
        one.path_format
        for one in iter_route_contexts(app.routes)
        if isinstance(one.original_route, APIRoute)
        and "POST" in (one.methods or ())
        and (one.path_format or "").startswith("/console")
    }
    assert posts - SIGNING == {one.post for one in ACTIONS}


@pytest.mark.parametrize("one", ACTIONS, ids=named)
async def test_the_request_of_an_action_is_one_of_the_api(
    api: httpx.AsyncClient, one: Action
) -> None:
    document = (await api.get("/openapi.json")).json()
    method, _, path = one.http.partition(" ")
    operation = document["paths"][path][method.lower()]
    scopes = operation["security"][0]["bearer"]
    assert one.name == "approve" or scopes == [one.scope]


@pytest.mark.parametrize("one", ACTIONS, ids=named)
def test_the_command_of_an_action_is_taken_by_the_command_line(one: Action) -> None:
    words = shlex.split(one.cli.format_map(WORDS))[1:]
    options = [] if one.name == "approve" else ["--reason", "a test"]
    options += ["--step", "BookShipment"] if one is IN_MANY else []
    options += ["--evidence", "ticket 7"] if one.name in {"skip", "resolve"} else []
    options += ["--set", "ship_to=addr"] if one.name == "correct" else []
    command, bound, *_ = command_line.parse_args(
        [*words, *options], exit_on_error=False, print_error=False
    )
    assert callable(command)
    assert bound is not None


async def test_the_buttons_of_the_pages_are_actions(api: httpx.AsyncClient, parked: Parked) -> None:
    known = [re.compile(re.sub(r"\{\w+\}", "[^/]+", one.post)) for one in ACTIONS]
    for path in (
        f"/console/sagas/{parked.saga}",
        f"/console/sagas/{parked.saga}/correct?step=BookShipment",
        f"/console/interventions/new?merchant={parked.shop.merchant}",
    ):
        html = await shown(api, path)
        found = forms_of(html)
        assert found, path
        for one in found:
            assert any(form.fullmatch(one.action) for form in known), one.action
        assert html.count("As a command, and as a request") == html.count('class="offer"') or (
            "/correct" in path
        )
