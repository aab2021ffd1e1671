from __future__ import annotations

import pytest

from tests.messaging.broker.house import House


@pytest.fixture
async def house(built: House) -> House:
    """The topology as declared, with empty queues."""
    await built.mend()
    return built
