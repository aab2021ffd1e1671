"""Who is let in where: every operation of the document, by every kind of caller."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from handrail.access import key_records
from handrail.access.authentication import Development
from handrail.access.key_records import KeyRights
from handrail.database_engine import open_engine
from handrail.http.database import Database
from handrail.processes.authentication import authentication_of
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.access.issuer import AUDIENCE, Issuer, a_key, an_issuer
from tests.api import access_matrix
from tests.api.access_matrix import PAGE, operations, seen
from tests.api.callers import signed_in
from tests.api.conftest import House

GOOD: Mapping[str, tuple[str, ...]] = {
    "reader": ("reader",),
    "operator": ("operator",),
    "approver": ("approver",),
    "merchant A": ("merchant",),
    "merchant B": ("merchant",),
    "customer": ("customer",),
    "service key": ("service",),
}
"""The roles of each caller whose credentials prove something; of all others they prove nothing."""


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with an_issuer() as one:
        yield one


@pytest.fixture
async def api(house: House, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    """An API that is configured as in earnest."""
    settings = ShopSettings(auth="oidc", auth_issuer=issuer.address, auth_audience=AUDIENCE)
    signing_in = authentication_of(HANDRAIL.access, settings, Database(house.engine).connect)
    async with house.api(authentication=signing_in) as client:
        yield client


@pytest.fixture
async def callers(house: House, issuer: Issuer) -> Mapping[str, dict[str, str]]:
    """The headers of each."""
    good, revoked = await api_keys(house)
    operator: dict[str, Any] = {"roles": ["operator"]}
    now = int(time.time())
    tokens = {
        "reader": issuer.token(roles=["reader"]),
        "operator": issuer.token(**operator),
        "approver": issuer.token(roles=["approver"]),
        "merchant A": issuer.token(sub="a", roles=["merchant"], tenant="m-a"),
        "merchant B": issuer.token(sub="b", roles=["merchant"], tenant="m-b"),
        "customer": issuer.token(sub="c", roles=["customer"], party="c-1"),
        "service key": good,
        "expired": issuer.token(**operator, iat=now - 900, exp=now - 600),
        "wrong audience": issuer.token(**operator, aud="https://other.example"),
        "wrong issuer": issuer.token(**operator, iss="https://evil.example"),
        "other key": issuer.token(**operator, key=a_key("one")),
        "alg none": issuer.unsigned(**operator),
        "key confusion": issuer.confused(**operator),
        "revoked key": revoked,
    }
    return {"nobody": {}} | {name: signed_in(token) for name, token in tokens.items()}


async def api_keys(house: House) -> tuple[str, str]:
    """A valid one, and one that was revoked."""
    async with open_engine(house.database, size=1) as owner, owner.connect() as connection:
        made = []
        for name in ("valid", "revoked"):
            rights = KeyRights(name=f"{name}-{time.time_ns()}", roles=["service"])
            lasts = timedelta(days=1)
            made.append(await key_records.create(connection, rights, by="a test", lasts=lasts))
        await key_records.revoke(connection, made[1].id, by="a test", reason="a test")
    return str(made[0]), str(made[1])


async def test_every_caller_is_let_in_where_its_role_says_and_nowhere_else(
    api: httpx.AsyncClient, callers: Mapping[str, dict[str, str]]
) -> None:
    document = (await api.get("/openapi.json")).json()
    rows, surprises = {}, []
    for one in operations(document):
        found = {name: await seen(api, one, headers) for name, headers in callers.items()}
        for name, what in found.items():
            if what != (wanted := expected(one.scopes, GOOD.get(name))):
                surprises.append(f"{one}, {name}: {what}, and not {wanted}")
        rows[one] = list(found.values())
    page = access_matrix.page(list(callers), rows)
    print(page)  # noqa: T201  # the matrix, for `pytest -s`
    print(f"{len(rows)} operations, {len(callers)} callers, {len(surprises)} surprises")  # noqa: T201  # likewise
    assert surprises == []
    if os.environ.get("HANDRAIL_WRITE_MATRIX"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "who is let in where has changed: see the page's first lines"


def expected(scopes: frozenset[str] | None, roles: tuple[str, ...] | None) -> str:
    if scopes is None:
        return "in"
    if roles is None:
        return "401"
    return "in" if scopes <= HANDRAIL.access.granted(roles) else "403"


async def test_no_route_is_missing_in_the_document_but_documents_and_pages(house: House) -> None:
    app = create_app(
        HANDRAIL,
        house.engine,
        house.temporal,
        RunOptions(),
        authentication=Development(HANDRAIL.access),
    )
    described = set(app.openapi()["paths"])
    routes = {one.path_format for one in iter_route_contexts(app.routes)}
    pages = ("/docs", "/console")  # those of the console: tests/console/test_rights.py
    hidden = {path for path in routes - described if path and not path.startswith(pages)}
    assert hidden == {"/openapi.json", "/asyncapi.json", "/redoc"}
