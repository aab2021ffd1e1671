"""A real broker for every test that asks, started once in each process of the tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import pytest

from handrail.dev.rabbitmq import EmbeddedRabbitMQ, is_installed
from tests.sharing import NEED_A_BROKER

if TYPE_CHECKING:
    from tests.messaging.broker.house import House

REQUIRED: Final = "REQUIRE_BROKER"


@pytest.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedRabbitMQ]:
    _refuse_a_second_process()
    if not is_installed() and os.environ.get(REQUIRED) != "1":
        pytest.skip("NOT TESTED: rabbitmq-server is not installed (apt-get install it)")
    server = EmbeddedRabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    await server.start()
    yield server
    await server.kill()  # nobody needs its data, and a farewell takes seconds


@pytest.fixture(scope="session")
async def built(broker: EmbeddedRabbitMQ) -> AsyncIterator[House]:
    """The topology of the shop, as a test before may have left it."""
    from tests.messaging.broker.house import a_house  # noqa: PLC0415  # only who asks needs it

    async with a_house(broker) as house:
        await house.build()
        yield house


def _refuse_a_second_process() -> None:
    test = os.environ["PYTEST_CURRENT_TEST"]
    if "PYTEST_XDIST_WORKER" in os.environ and not test.startswith(NEED_A_BROKER):
        pytest.fail(f"a broker is started for {test}: name its file in tests/sharing.py")
