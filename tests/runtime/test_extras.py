"""What is not installed is named before anything is begun."""

from __future__ import annotations

from tests.runtime.conftest import Spawn

WITHOUT = (
    "import sys; sys.modules.update(dict.fromkeys(['deltalake', 'arro3', 'duckdb'], None));"
    " from runtime.cli import main; main()"
)


async def test_the_lake_says_which_extra_it_needs(python: Spawn) -> None:
    process = await python("-c", WITHOUT, "lake", "query", "refusals")

    out, error = await process.communicate()

    assert (process.returncode, out) == (2, b"")
    assert error.decode() == (
        "deltalake, arro3, duckdb: not installed; pip install 'handrail[lake]'\n"
    )
