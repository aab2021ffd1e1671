"""A real broker for every test that asks, started once in each process of the tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from handrail.dev.rabbitmq import EmbeddedRabbitMQ, is_installed

REQUIRED = "REQUIRE_BROKER"


@pytest.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedRabbitMQ]:
    if not is_installed() and os.environ.get(REQUIRED) != "1":
        pytest.skip("NOT TESTED: rabbitmq-server is not installed (apt-get install it)")
    server = EmbeddedRabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    await server.start()
    yield server
    await server.kill()  # nobody needs its data, and a farewell takes seconds
