"""Lists by keyset: a page begins after the last row of the one before, however deep it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Row, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

RowT = TypeVar("RowT")

After = tuple[Any, ...]
"""The sort keys of the last row that was seen."""


@dataclass(frozen=True)
class Slice(Generic[RowT]):
    rows: Sequence[RowT]
    next: After | None
    """Where the next slice begins; None when this is the last."""


def select_by_key(columns: Iterable[Column[Any]]) -> Select[Any]:
    """The columns under the names of a row's fields, which are their keys."""
    return select(*(one if one.name == one.key else one.label(one.key) for one in columns))


async def slice_of(
    connection: AsyncConnection,
    query: Select[Any],
    row: Callable[..., RowT],
    *,
    by: Sequence[ColumnElement[Any]],
    after: After | None,
    limit: int,
    newest_first: bool = False,
) -> Slice[RowT]:
    """At most `limit` rows of `query` in the order of `by`, whose last column is unique."""
    if after is not None:
        here, last = tuple_(*by), tuple_(*after)
        query = query.where(here < last if newest_first else here > last)
    query = query.order_by(*(column.desc() if newest_first else column for column in by))
    # One row more than asked for tells whether there is a next slice.
    found = (await connection.execute(query.limit(limit + 1))).all()
    rows = found[:limit]
    more = len(found) > limit
    return Slice(
        [row(**one._mapping) for one in rows],  # noqa: SLF001  # public, by its docs  # this is its public name
        tuple(rows[-1]._mapping[column] for column in by) if more else None,  # noqa: SLF001  # public, by its docs
    )


async def one_of(
    connection: AsyncConnection, query: Select[Any], row: Callable[..., RowT]
) -> RowT | None:
    """The only row of the query, or None."""
    found: Row[Any] | None = (await connection.execute(query)).first()
    return row(**found._mapping) if found else None  # noqa: SLF001  # public, by its docs
