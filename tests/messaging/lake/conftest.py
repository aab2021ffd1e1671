from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("deltalake", reason="NOT TESTED: the extra `lake` is not installed")

from tests.messaging.lake.place import Place, a_place  # which needs it


@pytest.fixture
async def place(database: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(database, tmp_path / "lake") as one:
        yield one
