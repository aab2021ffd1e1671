"""The store is on another server, or was: what clients are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from handrail.database_engine import open_engine
from handrail.dev.postgres import EmbeddedPostgres
from tests.api.conftest import API, House
from tests.api.shop import problem
from tests.servers.postgres import sql

SENTENCE = "this is another store than the one of epoch 1"


@pytest.fixture
async def elsewhere(
    house: House, postgres: EmbeddedPostgres, template_with_read_models: str
) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """An API over a store that was on another timeline before."""
    name = f"handrail_elsewhere_{uuid4().hex[:8]}"
    await sql(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template_with_read_models}")
    url = postgres.url_of(name)
    await sql(url, "UPDATE store_epochs SET timeline = 0")
    async with open_engine(url, role=API) as engine, house.api(engine=engine) as client:
        yield client, url


async def test_every_answer_says_so_and_the_api_goes_on_once_it_was_adopted(
    elsewhere: tuple[httpx.AsyncClient, str],
) -> None:
    api, url = elsewhere
    found = problem(await api.get("/orders/o1"), 503, "other-store")
    assert SENTENCE in found["detail"]
    assert "handrail restore check" in found["detail"]
    ready = problem(await api.get("/readyz"), 503, "not-ready")
    assert any(SENTENCE in one["detail"] for one in ready["errors"])

    await sql(url, "SELECT adopt_store('the tests say so', 'tests')")

    problem(await api.get("/orders/o1"), 404, "not-found")


async def test_a_token_of_before_is_answered_as_such(
    elsewhere: tuple[httpx.AsyncClient, str],
) -> None:
    api, url = elsewhere
    await sql(url, "SELECT adopt_store('the tests say so', 'tests')")

    answer = await api.get("/orders/o1", headers={"Handrail-Token": "700"})
    found = problem(answer, 412, "token-of-another-epoch")
    assert "given in epoch 1 of the store, and this is epoch 2" in found["detail"]
    of_now = await api.get("/orders/o1", headers={"Handrail-Token": "2-700"})
    problem(of_now, 503, "read-model-behind")
