"""Own rows: the condition of a query by which a confined principal reads what is its own.

It stands beside row-level security, which holds where a query forgets it: this one holds where the
database does not compare, such as for a login that owns the tables or bypasses their policies.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, FromClause, false

from handrail.access.principal import Visibility
from handrail.access.row_owner import RowOwner


def own_rows(
    visible: Visibility, owner: RowOwner | None, table: FromClause
) -> list[ColumnElement[bool]]:
    """On a table whose rows have this owner; no condition for a principal that sees everything.

    A principal of a tenant sees no row of a table that names none, and likewise one of a party.
    """
    own = own_values(visible, owner)
    if own is None:
        return [false()]
    return [table.c[column] == value for column, value in own.items()]


def own_values(visible: Visibility, owner: RowOwner | None) -> Mapping[str, str] | None:
    """What the columns of an own row hold: nothing where all rows are seen, None where none is."""
    if visible.everything:
        return {}
    named = [
        (owner.tenant if owner else "", visible.tenant),
        (owner.party if owner else "", visible.party),
    ]
    wanted = {column: value for column, value in named if value}
    return wanted if wanted and all(wanted) else None
