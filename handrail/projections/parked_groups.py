"""What waits for a person, in groups: the parked sagas of one type, step, direction and cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.personal import MARK

AT_MOST: Final = 200
"""How many groups are read: the largest."""
LONGEST: Final = 100
"""Characters of a cause that has no name before a colon."""


@dataclass(frozen=True, kw_only=True)
class ParkedGroup:
    """`cause` is the name of the failure or the refusal, with which causes begin: what follows may
    hold keys, or a sealed text, and differ in each saga. `example` is a whole one. `oldest` is
    since when the first of them waits; `stakes` are amounts by currency.
    """

    saga_type: str
    step: str
    direction: str
    cause: str
    example: str
    count: int
    oldest: datetime
    stakes: Sequence[tuple[int, str]]


async def parked_groups(
    connection: AsyncConnection, board: Table, limit: int = AT_MOST
) -> Sequence[ParkedGroup]:
    """The largest first. Of sagas in which several steps are parked, the longest wait counts. One
    statement, over the index of what is parked.
    """
    kind = func.left(func.split_part(func.split_part(board.c.cause, ":", 1), MARK, 1), LONGEST)
    by = (board.c.saga_type, board.c.step, board.c.direction, kind)
    found = await connection.execute(
        select(
            *by,
            board.c.currency,
            func.count(),
            func.sum(board.c.at_stake),
            func.min(board.c.parked_since),
            func.min(board.c.cause),
            func.sum(func.count()).over(partition_by=by).label("all"),
        )
        .where(board.c.parked_since.is_not(None))
        .group_by(*by, board.c.currency)
        .order_by(func.sum(func.count()).over(partition_by=by).desc(), *by, board.c.currency)
        .limit(limit)
    )
    return [_group(key, list(rows)) for key, rows in groupby(found, lambda row: tuple(row[:4]))]


def _group(key: tuple[Any, ...], rows: Sequence[Any]) -> ParkedGroup:
    saga_type, step, direction, cause = key
    return ParkedGroup(
        saga_type=saga_type,
        step=step,
        direction=direction,
        cause=cause,
        example=rows[0][8],
        count=sum(row[5] for row in rows),
        oldest=min(row[7] for row in rows),
        stakes=[(int(row[6]), row[4]) for row in rows if row[6]],
    )


@dataclass(frozen=True)
class Hour:
    """How many of the sagas that are parked now were parked in that hour."""

    began: datetime
    count: int


async def parked_by_hour(
    connection: AsyncConnection, board: Table, hours: int = 24
) -> Sequence[Hour]:
    """The newest hours in which something was parked that still waits, the oldest first."""
    hour = func.date_trunc("hour", board.c.parked_since, "UTC")
    found = await connection.execute(
        select(hour, func.count())
        .where(board.c.parked_since.is_not(None))
        .group_by(hour)
        .order_by(hour.desc())
        .limit(hours)
    )
    return [Hour(began, count) for began, count in reversed(found.all())]
