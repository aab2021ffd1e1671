"""Rows are frozen; the next one is a copy with some fields changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    # The type checker knows this one, and then knows the fields of ours.
    from dataclasses import replace
else:
    RowT = TypeVar("RowT")

    def replace(row: RowT, /, **changes: Any) -> RowT:
        """What `dataclasses.replace` does, in a fifth of its time: folding does little else.

        It copies fields without going through `__init__`, so a row may not have a `__post_init__`.
        Raises TypeError for a field that the row does not have.
        """
        new = object.__new__(type(row))
        values = vars(new)
        values.update(vars(row))
        count = len(values)
        values.update(changes)
        if len(values) > count:
            raise TypeError(f"{type(row).__name__} has no field {list(values)[count]}")
        return new


__all__ = ["replace"]
