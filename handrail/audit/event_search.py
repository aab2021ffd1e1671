"""Searches events by actor, correlation, saga, tenant, type and time: the newest first, by keyset.

An index finds the events of an actor, and those of a correlation. The rest is looked for among
those, or among all, a bounded number of events at a time: a page may be shorter than was asked for,
or empty, and the next one goes on behind what was looked at.

Events are sorted by position. Where a span of time begins and ends in it is found by halving, as
accurately as the clocks of the inserts follow the order of positions: events are compared with the
span one by one, and no further than `SLACK` outside of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    RowMapping,
    TextClause,
    and_,
    exists,
    false,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.access.principal import EVERYTHING, Visibility
from handrail.eventstore.tables import events
from handrail.projections.projection import Projection
from handrail.tenant_word import STORED_WORD

LOOKED_AT: Final = 5_000
"""Events that one page looks at."""
SLACK: Final = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """What is searched for; None is anything. `since` is included, and `until` is not. `types` are
    names as they are stored: all of an event that was renamed.

    `saga` are the events that a saga caused; `correlation` may also be that of a command that no
    saga asked for, or of a request that was audited.
    """

    actor: str | None = None
    correlation: str | None = None
    saga: str | None = None
    tenant: str | None = None
    types: Collection[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Found:
    """A page of events; `next` is the position below which the next one begins, or None."""

    events: Sequence[RowMapping]
    next: int | None


@dataclass(frozen=True)
class SeenEvents:
    """Which events a principal may see. One that is confined to a tenant or a party sees those of
    streams whose id is the key of a row of its own, in one of the read models `rows`.
    """

    visibility: Visibility = EVERYTHING
    rows: Sequence[Projection[Any]] = ()

    def condition(self, e: FromClause) -> Sequence[ColumnElement[bool]]:
        """On the events `e`; none for a principal that sees all of them."""
        if self.visibility.everything:
            return []
        owned = [found for one in self.rows if (found := self._owned(one, e)) is not None]
        return [or_(*owned) if owned else false()]

    def _owned(self, projection: Projection[Any], e: FromClause) -> ColumnElement[bool] | None:
        owner, table = projection.owner, projection.table
        named = [
            (owner and owner.tenant, self.visibility.tenant),
            (owner and owner.party, self.visibility.party),
        ]
        wanted = [(column, value) for column, value in named if value]
        if not all(column for column, _ in wanted):
            return None
        return and_(
            func.split_part(e.c.stream, "-", 1).in_(projection.categories),
            exists().where(
                table.c[projection.key]
                == func.substr(e.c.stream, func.strpos(e.c.stream, "-") + 1),
                *(table.c[column] == value for column, value in wanted if column),
            ),
        )


EVERY_EVENT: Final = SeenEvents()


async def search(
    connection: AsyncConnection,
    wanted: EventFilter,
    *,
    tenant_word: str,
    below: int | None = None,
    limit: int,
    seen: SeenEvents = EVERY_EVENT,
) -> Found:
    """At most `limit` events, whose positions are lower than `below`."""
    found_by = _found_by(wanted)
    if below is not None:
        found_by.append(events.c.position < below)
    if wanted.since is not None or wanted.until is not None:
        low, high = await _span(connection, wanted.since, wanted.until)
        found_by += [events.c.position >= low, events.c.position < high]
    newest_first = events.c.position.desc()
    looked_at = select(events).where(*found_by).order_by(newest_first).limit(LOOKED_AT)
    e = looked_at.subquery("e")
    query = (
        select(
            *(e.c[name] for name in ("position", "stream", "version", "type")),
            e.c.schema.label("schema_version"),
            *(e.c[name] for name in ("data", "metadata", "recorded_at")),
        )
        .where(*_rest(wanted, tenant_word, e), *seen.condition(e))
        .order_by(e.c.position.desc())
    )
    found = (await connection.execute(query.limit(limit + 1))).mappings().all()
    if len(found) > limit:
        return Found(found[:limit], found[limit - 1]["position"])
    last = select(events.c.position).where(*found_by).order_by(newest_first)
    more = await connection.execute(last.offset(LOOKED_AT - 1).limit(1))
    return Found(found, more.scalar_one_or_none())


def _found_by(wanted: EventFilter) -> list[ColumnElement[bool]]:
    """What an index finds: of both, the smaller number has one correlation."""
    correlation = wanted.correlation if wanted.saga is None else wanted.saga
    if correlation is not None:
        return [events.c.metadata["correlation"].astext == correlation]
    if wanted.actor is not None:
        return [events.c.metadata["actor"].astext == wanted.actor]
    return []


def _rest(wanted: EventFilter, tenant_word: str, e: FromClause) -> list[ColumnElement[bool]]:
    """All conditions but those of position, on the events that are looked at."""

    def said(name: str) -> ColumnElement[Any]:
        found: ColumnElement[Any] = e.c.metadata[name].astext
        return found

    # Metadata did not always name the saga beside the correlation.
    saga, tenant = func.coalesce(said("saga"), said("correlation")), said(tenant_word)
    if tenant_word != STORED_WORD:
        tenant = func.coalesce(tenant, said(STORED_WORD))
    equal = [
        (said("actor"), wanted.actor),
        (said("correlation"), wanted.correlation),
        (saga, wanted.saga),
        (tenant, wanted.tenant),
    ]
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in equal if value is not None
    ]
    if wanted.types is not None:
        conditions.append(e.c.type.in_(sorted(wanted.types)))
    if wanted.since is not None:
        conditions.append(e.c.recorded_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(e.c.recorded_at < wanted.until)
    return conditions


async def _span(
    connection: AsyncConnection, since: datetime | None, until: datetime | None
) -> tuple[int, int]:
    """The positions between which the events of a span of time lie."""
    ends = {
        "since": None if since is None else since - SLACK,
        "until": None if until is None else until + SLACK,
    }
    low, high = (await connection.execute(_SPAN, ends)).one()
    return low, high


# The first position at or behind which no event was recorded before a moment; above the last one
# where all were. Positions have gaps, so each step looks at the next event.
_SPAN: Final[TextClause] = text("""
WITH RECURSIVE halving AS (
    SELECT m.nth, m.moment, 0::bigint AS low,
        coalesce((SELECT max(position) FROM events), 0) + 1 AS high
    FROM (VALUES (1, CAST(:since AS timestamptz)), (2, CAST(:until AS timestamptz)))
        AS m (nth, moment)
    UNION ALL
    SELECT h.nth, h.moment,
        CASE WHEN e.recorded_at < h.moment THEN e.position ELSE h.low END,
        CASE WHEN e.recorded_at < h.moment THEN h.high ELSE (h.low + h.high) / 2 END
    FROM halving h LEFT JOIN LATERAL (
        SELECT e.position, e.recorded_at FROM events e
        WHERE e.position >= (h.low + h.high) / 2 ORDER BY e.position LIMIT 1
    ) e ON true
    WHERE h.high - h.low > 1 AND h.moment IS NOT NULL
)
SELECT coalesce(min(high) FILTER (WHERE nth = 1 AND moment IS NOT NULL), 0),
    coalesce(min(high) FILTER (WHERE nth = 2 AND moment IS NOT NULL), 9223372036854775807)
FROM halving
""")
