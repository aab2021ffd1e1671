from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.messaging.consumers.place import Notebook, Place, a_place


@pytest.fixture
async def place(database: str) -> AsyncIterator[Place]:
    async with a_place(database) as one:
        yield one


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()
