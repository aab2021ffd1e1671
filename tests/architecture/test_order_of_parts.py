"""docs/architecture.md lists the packages of the library in the order that their contract has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACT = "The parts of the library import each other in one direction"


def _levels() -> dict[str, int]:
    """The level of each part, 0 the highest."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    [layers] = [one["layers"] for one in contracts if one["name"] == CONTRACT]
    return {part: level for level, one in enumerate(layers) for part in one.split(" | ")}


def test_the_page_has_every_package_once_from_top_to_bottom() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    listed = re.findall(r"^\| `handrail/(\w+)/` \|", page, re.MULTILINE)
    levels = _levels()

    packages = {one.parent.name for one in (ROOT / "handrail").glob("*/__init__.py")}
    assert sorted(listed) == sorted(packages)
    assert [levels[one] for one in listed] == sorted(levels[one] for one in listed)
