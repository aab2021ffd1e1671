"""Settings that a process cannot work with: it ends with 2, and a line that names the variable."""

from __future__ import annotations

import sys
from typing import Final, NoReturn

from handrail.setting_types import PREFIX, SettingsPart

BAD_SETTINGS: Final = 2
"""The exit code of a process that was configured wrongly: starting it again does not help."""


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def refuse(said: str) -> NoReturn:
    """End the process for a wrong setting; the line begins with its variable."""
    print(said, file=sys.stderr)
    raise SystemExit(BAD_SETTINGS)


def require(settings: SettingsPart, *fields: str) -> None:
    """End the process when it cannot work without a setting that is not there."""
    missing = [field for field in fields if getattr(settings, field) in {None, ()}]
    for field in missing:
        said = "is needed here; `handrail up` starts everything that has no address"
        print(f"{variable(field)}: {said}", file=sys.stderr)
    if missing:
        raise SystemExit(BAD_SETTINGS)
