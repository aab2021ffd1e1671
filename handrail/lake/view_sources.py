"""Which views of the lake read an event: found in their SQL, without a lake or DuckDB."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from handrail.kernel import Refusal
from handrail.lake.plan import Views, view_name

_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD: Final = re.compile(r"\w+")
REFUSALS: Final = "refusals"
"""The view of all refusals."""


def views_by_event(views: Views) -> Mapping[str, tuple[str, ...]]:
    """By the name of each event: its own view, that of refusals where it is a refusal, and those of
    the plan that read one of these or name the event, also through other views.
    """
    words = {
        name: set(_WORD.findall(_COMMENT.sub(" ", sql))) for name, sql in views.further.items()
    }
    found = {}
    for event in views.events:
        name = event.__name__
        reading = {view_name(name)} | ({REFUSALS} if issubclass(event, Refusal) else set())
        for view, used in words.items():  # each may use those before it
            if used & {*reading, name}:
                reading.add(view)
        found[name] = tuple(sorted(reading))
    return found
