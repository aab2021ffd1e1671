"""The earlier address of `handrail.paging`."""

from __future__ import annotations

from handrail.paging import After, Slice, one_of, select_by_key, slice_of

__all__ = ["After", "Slice", "one_of", "select_by_key", "slice_of"]
