from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from handrail.dev.rabbitmq import EmbeddedRabbitMQ
from tests.messaging.broker.house import House, a_house


@pytest.fixture(scope="session")
async def built(broker: EmbeddedRabbitMQ) -> AsyncIterator[House]:
    async with a_house(broker) as house:
        await house.build()
        yield house


@pytest.fixture
async def house(built: House) -> House:
    """The topology as declared, with empty queues."""
    await built.mend()
    return built
