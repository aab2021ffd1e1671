"""A real broker for every test that asks, started once in each process of the tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from runtime.embedded.rabbitmq import ADMINISTRATOR, EmbeddedRabbitMQ, is_installed

REQUIRED = "HANDRAIL_REQUIRE_BROKER"


@pytest.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedRabbitMQ]:
    if not is_installed() and os.environ.get(REQUIRED) != "1":
        pytest.skip("NOT TESTED: rabbitmq-server is not installed (apt-get install it)")
    server = EmbeddedRabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    await server.start()
    yield server
    await server.kill()  # nobody needs its data, and a farewell takes seconds


@pytest.fixture
async def empty_broker(broker: EmbeddedRabbitMQ) -> EmbeddedRabbitMQ:
    """The same one without what other tests left: its own virtual host and administrator only."""
    async with httpx.AsyncClient(base_url=broker.management_url, trust_env=False) as http:
        for one in (await http.get("/api/vhosts")).json():
            if one["name"] != "/":
                gone = await http.delete(f"/api/vhosts/{quote(one['name'], safe='')}")
                gone.raise_for_status()
        for one in (await http.get("/api/users")).json():
            if one["name"] != ADMINISTRATOR:
                (await http.delete(f"/api/users/{one['name']}")).raise_for_status()
    return broker
