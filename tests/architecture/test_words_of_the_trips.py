"""A second business shows operators, clients and readers its own words, and none of the shop's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.architecture.shop_words import words_of_the_shop

ROOT: Final = Path(__file__).parents[2]
TRIPS: Final = ROOT / "examples" / "trips"


@pytest.fixture(scope="module")
def surface() -> dict[str, Any]:
    """In a process of its own: the trips' packages are found in their folder."""
    done = subprocess.run(
        (sys.executable, "-m", "tests.architecture.surface_of_an_app"),
        cwd=TRIPS,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def texts_in(value: Any) -> Iterator[str]:
    """Every name and every text of a document."""
    match value:
        case dict():
            for name, one in value.items():
                yield name
                yield from texts_in(one)
        case list():
            for one in value:
                yield from texts_in(one)
        case str():
            yield value
        case _:
            pass


@pytest.mark.thorough
@pytest.mark.parametrize("of", ["openapi", "asyncapi", "messages", "tables", "lake", "help"])
def test_the_surface_of_the_trips_has_no_word_of_the_shop(surface: dict[str, Any], of: str) -> None:
    assert {one for one in texts_in(surface[of]) if words_of_the_shop(one)} == set()


def test_sagas_are_listed_by_tenant(surface: dict[str, Any]) -> None:
    asked = surface["openapi"]["paths"]["/sagas"]["get"]["parameters"]
    assert "tenant" in {one["name"] for one in asked}
    schemas = surface["openapi"]["components"]["schemas"]
    assert "tenant" in schemas["Saga"]["properties"].keys() & schemas["Filter"]["properties"].keys()


@pytest.mark.parametrize("command", ["list", "retry", "cancel", "answer", "again"])
def test_operators_name_the_tenant_by_an_option(surface: dict[str, Any], command: str) -> None:
    assert "--tenant" in surface["help"][command]


def test_messages_rows_and_the_lake_name_the_tenant(surface: dict[str, Any]) -> None:
    assert {one["headers"]["ce-tenant"] for one in surface["messages"]} == {"of-tenant"}
    assert "tenant" in surface["tables"]["saga_board"]
    assert "tenant" in surface["lake"]
