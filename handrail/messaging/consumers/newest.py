"""What a later event of a stream overwrites: an earlier one that comes late does not turn it back.

Such columns stand beside one that holds the version of the event they were made from. Rows of one
stream only are written so: versions of two streams cannot be compared.
"""

from __future__ import annotations


def newest(row: str, made_from: str, *columns: str) -> str:
    """SQL for `ON CONFLICT … DO UPDATE SET`: take over the columns, and `made_from`, where the new
    row was made from a later version than the stored one, whose alias is `row`.
    """
    return ", ".join(
        f"{name} = CASE WHEN excluded.{made_from} > {row}.{made_from}"
        f" THEN excluded.{name} ELSE {row}.{name} END"
        for name in (*columns, made_from)
    )
