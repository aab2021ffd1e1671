"""What is not installed is named before anything is begun."""

from __future__ import annotations

import pytest

from tests.runtime.conftest import Spawn

WITHOUT = (
    "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(','), None));"
    " from handrail.cli.main import main; main()"
)


async def test_the_lake_says_which_extra_it_needs(python: Spawn) -> None:
    process = await python("-c", WITHOUT, "deltalake,arro3,duckdb", "lake", "query", "refusals")

    out, error = await process.communicate()

    assert (process.returncode, out) == (2, b"")
    assert error.decode() == (
        "deltalake, arro3, duckdb: not installed; pip install 'handrail[lake]'\n"
    )


@pytest.mark.thorough
async def test_the_report_of_the_lake_needs_what_draws_its_charts(python: Spawn) -> None:
    process = await python("-c", WITHOUT, "matplotlib", "lake", "report")

    out, error = await process.communicate()

    assert (process.returncode, out) == (2, b"")
    assert error.decode() == "matplotlib: not installed; pip install 'handrail[report]'\n"


@pytest.mark.thorough
async def test_a_benchmark_says_which_extra_its_peers_are_in(python: Spawn) -> None:
    process = await python("-c", WITHOUT, "dbos,eventsourcing", "bench", "all")

    out, error = await process.communicate()

    assert (process.returncode, out) == (2, b"")
    assert error.decode() == "dbos, eventsourcing: not installed; pip install 'handrail[bench]'\n"
