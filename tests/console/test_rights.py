"""Who may look and act at the console: the server refuses, and the page says so beforehand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from handrail.access.authentication import Development
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from runtime.app import HANDRAIL
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.api.shop import settled
from tests.console.conftest import CONSOLE_PATIENCE
from tests.console.parked import Parked, form, forms_of, shown, submit, text_of

CALLERS: Final = Callers(
    {
        "reader": caller("rita", "reader"),
        "operator": caller("olaf", "operator"),
        "approver": caller("anna", "approver"),
        "service": caller("shop", "service", kind="service"),
        "merchant": caller("m", "merchant", tenant="m-1"),
    }
)
PUBLIC: Final = ("/console/sign-in", "/console/sign-out", "/console/static/")
MAY_ACT: Final[Mapping[str, frozenset[str]]] = {
    "/console/sagas/{saga}/answer": frozenset({"approver"}),
    "/console/proposals/{proposal}/approve": frozenset({"approver"}),
}
"""Beside these an operator acts, and nobody else."""


@pytest.fixture(scope="module")
async def strict(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Callers sign in, and a second person approves what moves money."""
    async with house.api(authentication=CALLERS, four_eyes=True, **CONSOLE_PATIENCE) as client:
        yield client


def routes(house: House, method: str) -> list[str]:
    app = create_app(
        HANDRAIL,
        house.engine,
        house.temporal,
        RunOptions(),
        authentication=Development(HANDRAIL.access),
    )
    paths = (
        one.path_format or ""
        for one in iter_route_contexts(app.routes)
        if isinstance(one.original_route, APIRoute) and method in (one.methods or ())
    )
    return [path for path in paths if path.startswith("/console") and not path.startswith(PUBLIC)]


def filled(path: str) -> str:
    named = {"stream": "order-none", "saga": "none", "id": "none", "intervention": "none"}
    named |= {"queue": "dead", "message": "none"}
    for name in ("name", "proposal", "exchange", "vhost"):
        named[name] = "none"
    named["version"] = "1"
    return path.format_map(named)


async def test_every_changing_request_is_refused_but_for_those_whose_role_it_is(
    house: House, strict: httpx.AsyncClient
) -> None:
    posts = routes(house, "POST")
    assert len(posts) >= 9
    for path in posts:
        for word in CALLERS.by_word:
            answer = await strict.post(filled(path), data={"reason": "x"}, headers=signed_in(word))
            allowed = word in MAY_ACT.get(path, {"operator"})
            assert (answer.status_code != 403) == allowed, f"{word} {path}: {answer.text}"


async def test_every_page_needs_a_principal_that_may_read_it(
    house: House, strict: httpx.AsyncClient
) -> None:
    pages = routes(house, "GET")
    assert len(pages) >= 15
    for path in pages:
        away = await strict.get(filled(path))
        assert away.status_code == 303, path
        assert away.headers["location"].startswith("/console/sign-in?next=%2Fconsole"), path
        for word in ("service", "merchant"):
            no = await strict.get(filled(path), headers=signed_in(word))
            assert no.status_code == 403, f"{word} {path}"
        for word in ("reader", "operator", "approver"):
            yes = await strict.get(filled(path), headers=signed_in(word))
            assert yes.status_code != 403, f"{word} {path}"


async def test_a_changing_request_without_a_principal_is_refused(
    house: House, strict: httpx.AsyncClient
) -> None:
    for path in routes(house, "POST"):
        assert (await strict.post(filled(path), data={"reason": "x"})).status_code == 401, path


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "path",
    [
        "/console/sagas/{saga}",
        "/console/sagas/{saga}/correct?step=BookShipment",
        "/console/interventions/new?step=BookShipment",
    ],
)
async def test_a_reader_sees_every_button_disabled_with_its_reason(
    strict: httpx.AsyncClient, parked: Parked, path: str
) -> None:
    answer = await strict.get(path.format(saga=parked.saga), headers=signed_in("reader"))
    assert answer.status_code == 200, answer.text
    buttons = [one for one in forms_of(answer.text) if one.action != "/console/sign-out"]
    assert buttons
    assert all(one.disabled for one in buttons)
    said = text_of(answer.text)
    assert "you have not the scope sagas:intervene, which the role operator has" in said


async def test_a_page_of_another_site_cannot_send_a_form(
    api: httpx.AsyncClient, parked: Parked
) -> None:
    one = form(await shown(api, f"/console/sagas/{parked.saga}"), "Retry")
    answer = await submit(api, one, {"Origin": "https://evil.example"}, reason="a trick")
    assert answer.status_code == 403
    assert "another site" in text_of(answer.text)


async def test_what_an_operator_proposes_another_person_approves_and_not_the_same(
    strict: httpx.AsyncClient, api: httpx.AsyncClient, house: House, parked: Parked
) -> None:
    operator, approver = signed_in("operator"), signed_in("approver")
    page = await strict.get(f"/console/sagas/{parked.saga}", headers=operator)
    assert "A second person has to approve it first." in text_of(page.text)
    one = form(page.text, "Skip")
    proposed = await submit(strict, one, operator, reason="sent by hand", evidence="ticket 9")
    address = proposed.headers["location"]
    assert address.startswith("/console/proposals/")

    own = await strict.get(address, headers=operator)
    assert form(own.text, "Approve, and do it").disabled
    theirs = await strict.get(address, headers=approver)
    done = await submit(strict, form(theirs.text, "Approve, and do it"), approver)
    assert (done.status_code, done.headers.get("location")) == (
        303,
        f"/console/sagas/{parked.saga}?said=approved",
    ), text_of(done.text)
    await settled(api, parked.saga, "completed")
    [(actor,)] = await house.sql(
        "SELECT data->>'actor' FROM events WHERE stream = %s AND type = 'SagaResumed'",
        f"saga-{parked.saga}",
    )
    assert actor == "person:anna for person:olaf"
