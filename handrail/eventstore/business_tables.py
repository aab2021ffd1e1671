"""BusinessTables: a business's own tables, with a branch of Alembic migrations and rights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from handrail.access.database_roles import PREFIX, DatabaseRoles, Grant, OwnTable
from handrail.access.row_owner import RowOwner

_RIGHTS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})


_NAME: Final = re.compile("[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, kw_only=True)
class EventIds:
    """A column that holds ids of events, `stream/version`: what a consumer made of them.

    `handrail restore check` and `handrail verify --feed` look there for events that the store does
    not have, and say them as `says`, the id, and that it is not in the store. Raises ValueError for
    what is no name of a table or column.
    """

    found_in: str
    table: str
    column: str
    says: str

    def __post_init__(self) -> None:
        for name in (self.table, self.column):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a table or column: small letters and _")


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
    event_ids: Sequence[EventIds] = ()
    """Where the tables hold ids of events."""
    used_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The processes whose logins have the rights of a table, such as `consumer:billing`. A table
    that is not here is for the worker, the API and all consumers. The API has those of consumers,
    too: it handles what waits at them when an operator says so."""
    owners: Mapping[str, RowOwner] = field(default_factory=dict)
    """The tables whose rows belong to a tenant or a party, and the columns that name them."""
    grants: Sequence[Grant] = ()
    """What logins may do with tables of the library, beyond what each kind of process has to."""

    def __post_init__(self) -> None:
        if not self.revisions.is_dir():
            raise ValueError(f"there is no folder {self.revisions} with revisions of tables")
        for table, rights in self.rights.items():
            if strange := sorted(set(rights) - _RIGHTS):
                known = ", ".join(sorted(_RIGHTS))
                raise ValueError(f"the table {table} has the right {strange[0]}: use {known}")
        for one in self.event_ids:
            if one.table not in self.rights:
                raise ValueError(f"the table {one.table} holds ids of events, and has no rights")
        for table in self.used_by:
            if table not in self.rights:
                raise ValueError(f"the table {table} is used by processes, and has no rights")
        for table in self.owners:
            if table not in self.rights:
                raise ValueError(f"the rows of the table {table} have owners, and it has no rights")


def roles_of(
    own: BusinessTables | None, consumers: Sequence[str] = (), prefix: str = PREFIX
) -> DatabaseRoles:
    """The database roles of a business with these tables and consumers."""
    if own is None:
        return DatabaseRoles(prefix=prefix, consumers=consumers)
    return DatabaseRoles(
        prefix=prefix,
        consumers=consumers,
        grants=own.grants,
        own={
            table: OwnTable(some, own.used_by.get(table, ())) for table, some in own.rights.items()
        },
    )
