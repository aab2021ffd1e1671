"""BusinessTables: a business's own tables, with a branch of Alembic migrations and rights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_RIGHTS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})


@dataclass(frozen=True, kw_only=True, eq=False)
class BusinessTables:
    """What `handrail migrate` makes beside the tables of the library.

    The first revision has no down_revision; where revisions read tables of the library, it names a
    revision of the library in `depends_on`. Raises ValueError for what cannot be migrated.
    """

    revisions: Path
    """The folder of the branch's revisions."""
    rights: Mapping[str, tuple[str, ...]]
    """What the application may do with the rows of each table: SELECT, INSERT, UPDATE, DELETE."""

    def __post_init__(self) -> None:
        if not self.revisions.is_dir():
            raise ValueError(f"there is no folder {self.revisions} with revisions of tables")
        for table, rights in self.rights.items():
            if strange := sorted(set(rights) - _RIGHTS):
                known = ", ".join(sorted(_RIGHTS))
                raise ValueError(f"the table {table} has the right {strange[0]}: use {known}")
