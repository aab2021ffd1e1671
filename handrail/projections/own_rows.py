"""Own rows: the condition of a query by which a confined principal reads what is its own.

It stands beside row-level security, which holds where a query forgets it: this one holds where the
database does not compare, such as for a login that owns the tables or bypasses their policies.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, false

from handrail.access.principal import Visibility
from handrail.projections.projection import Projection


def own_rows(visible: Visibility, projection: Projection[Any]) -> list[ColumnElement[bool]]:
    """On the table of `projection`; no condition for a principal that sees everything.

    A principal of a tenant sees no row of a table that names none, and likewise one of a party.
    """
    if visible.everything:
        return []
    owner, columns = projection.owner, projection.table.c
    named = [
        (owner.tenant if owner else "", visible.tenant),
        (owner.party if owner else "", visible.party),
    ]
    wanted = [(column, value) for column, value in named if value]
    if not wanted or not all(column for column, _ in wanted):
        return [false()]
    return [columns[column] == value for column, value in wanted]
