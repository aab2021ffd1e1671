"""Versions of a schema that this code does not know, because a newer release made them.

A newer release only adds to a schema, and takes away what no release that may still run needs: so
older processes go on, and older code migrates nothing. Revisions are told apart by their numbers:
`0019` is newer than `0018`, `own_0003` newer than `own_0002`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

_NUMBERED: Final = re.compile(r"(.*?)(\d+)")


def passed(heads: Iterable[str], versions: Iterable[str]) -> set[str]:
    """Those of the heads of this code that a newer one of the same branch stands for."""
    found = [number for one in versions if (number := _number_of(one))]
    return {
        head
        for head in heads
        if (own := _number_of(head))
        and any(prefix == own[0] and number > own[1] for prefix, number in found)
    }


def versions_of(connection: Connection) -> list[str]:
    """None before the first migration."""
    there = connection.exec_driver_sql("SELECT to_regclass('alembic_version') IS NOT NULL")
    if not there.scalar_one():
        return []
    return list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())


def _number_of(revision: str) -> tuple[str, int] | None:
    found = _NUMBERED.fullmatch(revision)
    return (found[1], int(found[2])) if found else None
