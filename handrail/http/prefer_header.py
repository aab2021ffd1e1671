"""The Prefer header (RFC 7240): how long a client would rather wait than come back."""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request

_PREFERENCE: Final = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*"?([^";,]*)"?)?')


def seconds_to_wait(request: Request, most: int) -> int | None:
    """What `wait` asks for, at most `most`. A preference that makes no sense is none: RFC 7240."""
    for line in request.headers.getlist("prefer"):
        for preference in line.split(","):
            found = _PREFERENCE.match(preference)
            if found and found[1].lower() == "wait":
                asked = (found[2] or "").strip()
                if asked.isascii() and asked.isdigit() and int(asked[:9]) > 0:
                    return min(int(asked[:9]), most)
                return None
    return None


def applied(seconds: int) -> dict[str, str]:
    return {"Preference-Applied": f"wait={seconds}"}
