"""Searches what operators did, newest first: each act with its outcome, and those refused.

Acts lie in one stream for each day, without gaps between versions, so a page is read day by day:
it looks at a bounded number of events, and may have fewer acts than were asked for. An act and its
outcome have the request in common; an act without one was cut off, or is under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail import bounds
from handrail.audit.acts import (
    CATEGORY,
    OperatorActAnswered,
    OperatorActRefused,
    OperatorActRequested,
)
from handrail.kernel import stream_name

LOOKED_AT: Final = 2_000
"""Events that one page looks at."""
_DAYS: Final = 366
"""Days that one page looks at; those without acts do not count."""
_SLACK: Final = timedelta(days=1)
"""The day of a stream is by the clock of a process, the time of an event by the database's."""
_BAD: Final = 400
"""The lowest status of an answer by which nothing was done."""

_FIRST: Final = "0000-01-01"
_LAST: Final = "9999-12-31"

Before = tuple[str, int]
"""A day, and a version in its stream."""
Outcome = Literal["done", "failed", "refused", "unknown"]
"""`failed`: an answer with a problem, or an exit code above 0. `refused`: without the right to it.
`unknown`: no outcome is stored.
"""


@dataclass(frozen=True, kw_only=True)
class ActFilter:
    """What is searched for; None is anything. `principal` also finds acts for another of that name;
    `act` and `target` are parts of the text. `since` is included, and `until` is not.
    """

    principal: str | None = None
    act: str | None = None
    target: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class FoundAct:
    """An act: `act` is the route or the command, `target` the path or the arguments, `status` that
    of the answer or the exit code. Of a refusal `count` is how often since `since`. `reason` is as
    it is stored: sealed.
    """

    at: datetime
    stream: str
    version: int
    request: str
    principal: str
    acting_for: str
    act: str
    target: str
    origin: str
    reason: str
    outcome: Outcome
    status: int | None
    problem: str
    answered_at: datetime | None
    count: int
    since: str


@dataclass(frozen=True)
class FoundActs:
    """A page; `next` is the day and version before which the next page goes on, or None."""

    acts: Sequence[FoundAct]
    next: Before | None


@dataclass(frozen=True)
class _Range:
    """Versions of the acts of a day, both ends included."""

    day: str
    low: int
    high: int


async def search(
    connection: AsyncConnection,
    wanted: ActFilter,
    *,
    before: Before | None = None,
    limit: int,
) -> FoundActs:
    """At most `limit` acts, older than `before`. Two statements."""
    days = await _days(connection, wanted, before)
    ranges = list(_ranges(days))
    if not ranges:
        return FoundActs([], None)
    asked = {
        "streams": [_stream(one.day) for one in ranges],
        "lows": [one.low for one in ranges],
        "highs": [one.high for one in ranges],
        "requested": OperatorActRequested.__name__,
        "refused": OperatorActRefused.__name__,
        "answered": OperatorActAnswered.__name__,
        "bad": _BAD,
        "limit": limit + 1,
        **{
            name: getattr(wanted, name)
            for name in ("principal", "act", "target", "outcome", "since", "until")
        },
    }
    rows = (await connection.execute(_ACTS, asked)).mappings().all()
    found = [FoundAct(**one) for one in rows[:limit]]
    if len(rows) > limit:
        last = found[-1]
        return FoundActs(found, (_day(last.stream), last.version))
    last_range = ranges[-1]
    is_all = last_range.low == 1 and len(ranges) == len(days) < _DAYS
    return FoundActs(found, None if is_all else (last_range.day, last_range.low))


async def _days(
    connection: AsyncConnection, wanted: ActFilter, before: Before | None
) -> Sequence[tuple[str, int]]:
    """The days that there are acts of, newest first, and the newest version of each."""
    newest = _day_of(wanted.until + _SLACK) if wanted.until else _LAST
    oldest = _day_of(wanted.since - _SLACK) if wanted.since else _FIRST
    day, below = before or (_LAST, bounds.LARGEST_INTEGER)
    asked = {
        "newest": _stream(min(newest, day)),
        "oldest": _stream(oldest),
        "cut": _stream(day),
        "below": below,
        "days": _DAYS,
    }
    found = await connection.execute(_NEWEST_DAYS, asked)
    return [(_day(name), version) for name, version in found]


def _ranges(days: Sequence[tuple[str, int]]) -> Iterator[_Range]:
    """As many events of these days as one page looks at, the newest of each."""
    left = LOOKED_AT
    for day, newest in days:
        if left <= 0:
            return
        low = max(1, newest - left + 1)
        if newest >= low:
            yield _Range(day, low, newest)
        left -= newest - low + 1


def _day_of(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def _stream(day: str) -> str:
    return stream_name(CATEGORY, day)


def _day(stream: str) -> str:
    return stream.removeprefix(f"{CATEGORY}-")


# Days sort as their names do, whatever the database's collation; others than days are left out.
_NEWEST_DAYS: Final[TextClause] = text("""
SELECT name, CASE WHEN name = :cut THEN least(version, :below - 1) ELSE version END
FROM streams
WHERE name BETWEEN :oldest AND :newest AND name ~ '^audit-[0-9]{4}-[0-9]{2}-[0-9]{2}$'
    AND NOT (name = :cut AND :below <= 1)
ORDER BY name DESC LIMIT :days
""")

# A request may name its id itself, and more than once: the outcome of an act is the next of its
# kind that there is of the request.
_ACTS: Final[TextClause] = text("""
SELECT e.recorded_at AS at, e.stream, e.version,
    e.data ->> 'request' AS request,
    e.data ->> 'principal' AS principal,
    coalesce(e.data ->> 'acting_for', '') AS acting_for,
    e.data ->> 'act' AS act,
    e.data ->> 'target' AS target,
    e.data ->> 'origin' AS origin,
    coalesce(e.data ->> 'reason', '') AS reason,
    o.outcome, a.status,
    coalesce(a.problem, e.data ->> 'problem', '') AS problem,
    a.recorded_at AS answered_at,
    coalesce(CAST(e.data ->> 'count' AS bigint), 1) AS count,
    coalesce(e.data ->> 'since', '') AS since
FROM unnest(CAST(:streams AS text[]), CAST(:lows AS bigint[]), CAST(:highs AS bigint[]))
    AS r (stream, low, high)
JOIN events e ON e.stream = r.stream AND e.version BETWEEN r.low AND r.high
LEFT JOIN LATERAL (
    SELECT a.recorded_at, CAST(a.data ->> 'status' AS bigint) AS status,
        a.data ->> 'problem' AS problem
    FROM events a
    WHERE a.metadata ->> 'correlation' = e.metadata ->> 'correlation'
    AND a.position > e.position AND a.type = :answered
    AND a.data ->> 'act' = e.data ->> 'act' AND e.type = :requested
    ORDER BY a.position LIMIT 1
) a ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN e.type = :refused THEN 'refused'
        WHEN a.status IS NULL THEN 'unknown'
        WHEN a.status = 0 OR (a.status >= 200 AND a.status < :bad) THEN 'done'
        ELSE 'failed' END AS outcome
) o
WHERE e.type IN (:requested, :refused)
AND (CAST(:principal AS text) IS NULL
    OR :principal IN (e.data ->> 'principal', e.data ->> 'acting_for', e.metadata ->> 'actor'))
AND (CAST(:act AS text) IS NULL OR strpos(lower(e.data ->> 'act'), lower(:act)) > 0)
AND (CAST(:target AS text) IS NULL OR strpos(e.data ->> 'target', :target) > 0)
AND (CAST(:outcome AS text) IS NULL OR o.outcome = :outcome)
AND (CAST(:since AS timestamptz) IS NULL OR e.recorded_at >= :since)
AND (CAST(:until AS timestamptz) IS NULL OR e.recorded_at < :until)
ORDER BY e.stream DESC, e.version DESC LIMIT :limit
""")
