from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.access.issuer import Issuer, an_issuer


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with an_issuer() as one:
        yield one
