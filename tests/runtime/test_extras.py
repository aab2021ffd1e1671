"""What is not installed is named before anything is begun."""

from __future__ import annotations

import pytest

from tests.runtime.conftest import Spawn

WITHOUT = (
    "import sys; sys.modules.update(dict.fromkeys(['deltalake', 'arro3', 'duckdb'], None));"
    " from runtime.cli import main; main()"
)


@pytest.mark.parametrize("command", ["export", "query", "report"])
async def test_the_lake_says_which_extra_it_needs(command: str, python: Spawn) -> None:
    arguments = ["refusals"] if command == "query" else []
    process = await python("-c", WITHOUT, "lake", command, *arguments)

    out, error = await process.communicate()

    assert (process.returncode, out) == (2, b"")
    assert error.decode() == (
        "deltalake, arro3, duckdb: not installed; pip install 'handrail[lake]'\n"
    )
