"""What a release shows otherwise than an earlier one did, on purpose, and why.

A column of a read model by (its table, the column), a field of a state by (its category, the
field). What is listed is not compared with releases before `since`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.golden.store import rank_of


@dataclass(frozen=True)
class Changed:
    since: str
    """The first release that shows it so."""
    why: str


CHANGED: Final[Mapping[tuple[str, str], Changed]] = {}


def is_changed_since(release: str, place: tuple[str, str]) -> bool:
    """The first recording, which is of no release, is older than all."""
    found = CHANGED.get(place)
    return found is not None and rank_of(release) < rank_of(found.since)
