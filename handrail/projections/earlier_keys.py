"""Sort keys that rows had earlier, beside the rows: lists as of a moment are walked along them.

A list of today is sorted by a field of its rows, such as when each began. What begins once more has
another value there now, so that the list of an earlier moment has the row elsewhere. The projector
keeps each value that was replaced, with the owners that the row had, in the transaction that writes
the rows and in the same statement. Most rows never begin again, and then there is nothing to write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Index, MetaData, Table


def earlier_keys_name(rows: str) -> str:
    return f"{rows}_earlier_keys"


def earlier_keys_table(rows: Table, fields: Sequence[str]) -> Table:
    """Of the key, the field that lists are sorted by, and those of the owners. The columns have the
    names that they have in the table of the rows.
    """
    key, begins, *owners = fields
    name = earlier_keys_name(rows.name)
    return Table(
        name,
        MetaData(),
        *(
            Column(
                rows.columns[one].name,
                rows.columns[one].type,
                key=one,
                primary_key=one in {key, begins},
                nullable=one not in {key, begins},
            )
            for one in fields
        ),
        *(
            Index(f"{name}_{number}_idx", *found)
            for number, found in enumerate([(begins, key), *((one, begins, key) for one in owners)])
        ),
    )


def replaced(before: Any, after: Any, columns: Sequence[str]) -> bool:
    """Whether the list of an earlier moment has the row elsewhere, or for others."""
    return before is not None and any(
        getattr(before, one) != getattr(after, one) for one in columns
    )
