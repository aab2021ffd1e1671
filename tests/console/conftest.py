"""The console of the shop over its real API, with a database, workers and a projector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from tests.api.conftest import House, open_house
from tests.api.shop import Shop, open_shop, place, settled
from tests.console.parked import Parked

CONSOLE_PATIENCE: dict[str, Any] = {"deadline_seconds": 10, "patience_seconds": 0.5}
"""Sagas of these tests park soon."""


@pytest.fixture(scope="package")
async def house(
    postgres: EmbeddedPostgres, template_with_read_models: str, temporal: WorkflowEnvironment
) -> AsyncIterator[House]:
    async with open_house(postgres, template_with_read_models, temporal) as house:
        yield house


@pytest.fixture(scope="package")
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """In development: every caller is believed, and nobody signs in."""
    async with house.api(**CONSOLE_PATIENCE) as client:
        yield client


@pytest.fixture
async def shop(api: httpx.AsyncClient) -> Shop:
    return await open_shop(api)


@pytest.fixture
async def parked(api: httpx.AsyncClient, shop: Shop) -> Parked:
    """A checkout that waits for a person: the carrier declined its address."""
    return await a_parked(api, shop)


@pytest.fixture(scope="package")
async def stays_parked(api: httpx.AsyncClient) -> Parked:
    """One for all tests that only look at it."""
    return await a_parked(api, await open_shop(api))


async def a_parked(api: httpx.AsyncClient, shop: Shop) -> Parked:
    saga: str = (await place(api, shop, wait=None, ship_to="addr_undeliverable")).json()["saga"]
    await settled(api, saga, "parked")
    return Parked(saga, shop)
