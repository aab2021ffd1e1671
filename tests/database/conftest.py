from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from handrail.dev.postgres import EmbeddedPostgres
from tests.database.logins import Logins, a_database


@pytest.fixture(scope="module")
async def logins(postgres: EmbeddedPostgres) -> AsyncIterator[Logins]:
    async with a_database(postgres) as one:
        yield one
