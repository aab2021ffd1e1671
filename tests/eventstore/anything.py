"""Strategies of Hypothesis for whatever a message may hold, and the store keep."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import UTC, date, datetime
from typing import Any, Literal, NewType, get_args, get_origin

from hypothesis import strategies as st

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    type(None): st.none(),
}


def anything(annotation: Any) -> st.SearchStrategy[Any]:
    """Any value of this type."""
    if isinstance(annotation, NewType):
        return anything(annotation.__supertype__)
    if annotation in PLAIN:
        return PLAIN[annotation]
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if get_origin(annotation) is tuple:
        return st.lists(anything(get_args(annotation)[0]), max_size=3).map(tuple)
    if get_origin(annotation) is types.UnionType:
        return st.one_of(*map(anything, get_args(annotation)))
    hints = typing.get_type_hints(annotation)
    names = [field.name for field in dataclasses.fields(annotation)]
    return st.builds(annotation, **{name: anything(hints[name]) for name in names})
