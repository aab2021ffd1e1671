"""The releases there are, as `CHANGELOG.md` and `pyproject.toml` name them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NOT_OUT: Final = "not released"


def this_release() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return str(project["project"]["version"])


def changelog() -> Mapping[str, str]:
    """By release what its heading says of when: `## 0.1.0, not released`."""
    text = (ROOT / "CHANGELOG.md").read_text()
    return dict(re.findall(r"^## (\d[^,\n]*)(?:, (.*))?$", text, re.MULTILINE))


def is_out(release: str) -> bool:
    return changelog().get(release, NOT_OUT) != NOT_OUT
