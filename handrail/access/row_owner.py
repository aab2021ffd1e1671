"""Row owners: which column of a table names the tenant, and which the party, that may see a row.

Row-level security follows from it (`handrail/eventstore/row_security.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class RowOwner:
    """The columns that name the owners of a row. Both empty: it is for principals that see
    everything alone, such as a table of sums over all rows.
    """

    tenant: str = ""
    party: str = ""

    def columns(self) -> tuple[str, ...]:
        return tuple(one for one in (self.tenant, self.party) if one)


FOR_OPERATORS: Final = RowOwner()
"""Of a table whose rows are of no tenant and no party."""
OWNER: Final = "row_owner"
"""Where a table of the library says so, in its `info`."""
