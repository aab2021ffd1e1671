"""Packages that only some processes need: what to install where they are missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from handrail.refused_settings import BAD_SETTINGS


def require_extra(name: str, *modules: str) -> None:
    """End the process where one of the modules is not installed."""
    if missing := [one for one in modules if find_spec(one) is None]:
        said = f"{', '.join(missing)}: not installed; pip install 'handrail[{name}]'"
        print(said, file=sys.stderr)
        raise SystemExit(BAD_SETTINGS)
