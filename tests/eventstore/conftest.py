from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.eventstore.interleaving import Lab


@pytest.fixture
async def lab(database: str) -> AsyncIterator[Lab]:
    async with Lab(database) as lab:
        yield lab
