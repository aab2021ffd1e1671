"""The table of webhooks: each message is kept once, by its source and the sender's id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import product
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.tables import webhooks
from handrail.paging import After, Slice, one_of, select_by_key, slice_of

Status = Literal["accepted", "unknown", "waiting"]
_LEFT: Final[tuple[Status, ...]] = ("unknown", "waiting")
_BY_TIME: Final = (webhooks.c.received_at, webhooks.c.source, webhooks.c.id)


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """`waiting` had no effect yet, `unknown` needs a person to look at its `problem`."""

    source: str
    id: str
    received_at: datetime
    type: str
    subject: str | None
    status: Status
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class WithBody(Webhook):
    """`body` is what was signed."""

    body: bytes


async def keep(
    connection: AsyncConnection,
    source: str,
    id_: str,
    *,
    type_: str,
    subject: str | None,
    body: bytes,
) -> WithBody:
    """The message as it is kept: as waiting, if its id is new; else as it came first."""
    first = insert(webhooks).values(
        source=source, id=id_, type=type_, subject=subject, body=body, status="waiting"
    )
    await connection.execute(first.on_conflict_do_nothing(constraint="webhooks_pkey"))
    kept = await find(connection, source, id_)
    assert kept is not None
    return kept


async def settle(
    connection: AsyncConnection, source: str, id_: str, status: Status, problem: str | None
) -> None:
    """What was accepted stays accepted, whatever another try says later."""
    await connection.execute(
        update(webhooks)
        .where(_is(source, id_), webhooks.c.status != "accepted")
        .values(status=status, problem=problem)
    )


async def find(connection: AsyncConnection, source: str, id_: str) -> WithBody | None:
    return await one_of(connection, _rows(WithBody).where(_is(source, id_)), WithBody)


async def listed(
    connection: AsyncConnection,
    *,
    sources: Sequence[str],
    status: Status | None,
    after: After | None,
    limit: int,
) -> Slice[Webhook]:
    """Of these sources, newest first."""
    query = _rows(Webhook).where(webhooks.c.source.in_(sources))
    if status is not None:
        query = query.where(webhooks.c.status == status)
    return await slice_of(
        connection, query, Webhook, by=_BY_TIME, after=after, limit=limit, newest_first=True
    )


async def left(
    connection: AsyncConnection, sources: Iterable[str]
) -> Mapping[tuple[str, Status], int]:
    """How many had no effect, by source and status; those that had one are not counted.

    Those of `sources` are there in any case.
    """
    by = (webhooks.c.source, webhooks.c.status)
    query = select(*by, func.count()).where(webhooks.c.status.in_(_LEFT)).group_by(*by)
    found = {(source, status): count for source, status, count in await connection.execute(query)}
    none: dict[tuple[str, Status], int] = dict.fromkeys(product(sources, _LEFT), 0)
    return none | found


def _rows(of: type[Webhook]) -> Select[Any]:
    return select_by_key(webhooks.c[field.name] for field in fields(of))


def _is(source: str, id_: str) -> ColumnElement[bool]:
    return (webhooks.c.source == source) & (webhooks.c.id == id_)
