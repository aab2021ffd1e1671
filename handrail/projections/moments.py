"""Moments: what had been committed at a time, so that an as-of read has the same answer for ever.

`recorded_at` is the clock at the insert of an event, and its transaction may commit much later. A
process keeps moments (`keep_moment`), once a second while something happens: a time, the snapshot
of the database then, the newest position, the epoch. As of a time means: as of the newest moment
that is not after it.

Where none was kept around that time, events count by the time at which they were recorded, as far
as the next moment sees them. A time at which an earlier server was the store, and of which no
moment survived, is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.store import Recorded
from handrail.eventstore.tokens import Connects

KEPT_EVERY: Final = 1.0  # seconds
GAP: Final = timedelta(seconds=2.5)
"""Moments further apart than this, one's `until` and the next one's `at`, were not kept between."""
PATIENCE: Final = 3.0
"""Seconds that a read of what was just now waits for the next moment."""
_LOOK: Final = 0.1  # seconds
_JUST_NOW: Final = timedelta(seconds=PATIENCE)
_CLOCK_WINDOW: Final = 2_000
"""Events of a stream that are looked at behind the time, for a clock that was put back."""
_ANY: Final = 2**63 - 1


class MomentLost(Exception):
    """At that time another server was the store, and what it had then is not known any more."""


class ClockBehind(Exception):
    """The database's clock was put back: what it says now, it has said before, and as of that time
    is what had been committed then.
    """


@dataclass(frozen=True)
class Cut:
    """Which events of the streams of a row had been committed: those up to a position and, of each
    stream, up to a version; without `versions` only the position counts.
    """

    position: int
    versions: Mapping[str, int] | None = None

    def includes(self, recorded: Recorded) -> bool:
        return recorded.position <= self.position and recorded.version <= self.upto(recorded.stream)

    def upto(self, stream: str) -> int:
        return _ANY if self.versions is None else self.versions.get(stream, 0)

    def covers(self, versions: Mapping[str, int]) -> bool:
        """Whether all that was folded up to these versions is in it."""
        return all(version <= self.upto(stream) for stream, version in versions.items())


NOTHING: Final = Cut(0)


@dataclass(frozen=True)
class Seen:
    """What a moment sees: events up to `floor` were there when its epoch began, and those behind
    `ceiling` are of later epochs.
    """

    at: datetime
    until: datetime
    snapshot: str
    position: int
    epoch: int
    floor: int
    ceiling: int


@dataclass(frozen=True)
class Past:
    """A time, and the moments around it: what any rows were as of it, `cuts` says.

    `seen_by` is a snapshot that sees all events of the cuts: read models that have read as much
    have the rows of which the cuts have events.
    """

    moment: datetime
    before: Seen | None
    after: Seen | None
    epoch_began_at: datetime | None
    current: str
    now: datetime

    @property
    def is_kept(self) -> bool:
        """Whether moments were kept around it: what was known then is what `before` sees."""
        before, after = self.before, self.after
        if before is None:
            return False
        if self.moment <= before.until:
            return True
        return after is not None and after.epoch == before.epoch and after.at - before.until <= GAP

    @property
    def seen_by(self) -> str:
        if self.is_kept:
            return self.kept.snapshot
        return self.after.snapshot if self.after is not None else self.current

    @property
    def kept(self) -> Seen:
        """The moment that decides. Raises LookupError where none does."""
        if not self.is_kept or self.before is None:
            raise LookupError("no moments were kept around it")
        return self.before

    def refuse_lost(self) -> None:
        """Raises MomentLost."""
        if self.is_kept or self.before is None:
            return
        began_at = self.epoch_began_at
        has_changed = self.after.epoch != self.before.epoch if self.after else began_at is not None
        if has_changed and (began_at is None or self.moment < began_at):
            raise MomentLost(
                f"{self.moment.isoformat()} is of a server that is not the store any more"
            )


async def past_as_of(database: Connects, moment: datetime) -> Past:
    """The moments around a time. What was just now is waited for, as long as moments are being
    kept. Raises MomentLost, and ClockBehind where what was just now was so once before.
    """
    deadline = monotonic() + PATIENCE
    while True:
        async with database.connect() as connection:
            found = (await connection.execute(_AROUND, {"moment": moment})).one()
        before, after = _seen(found, "m"), _seen(found, "n")
        _refuse_said_twice(moment, found.now, found.newest)
        is_settled = before is None or after is not None or moment <= before.until
        is_waited_for = not is_settled and moment <= found.now
        is_kept = before is not None and found.now - before.until <= GAP
        if not (is_waited_for and is_kept and monotonic() < deadline):
            past = Past(moment, before, after, found.began_at, found.current, found.now)
            past.refuse_lost()
            return past
        await asyncio.sleep(_LOOK)


def _refuse_said_twice(moment: datetime, now: datetime, newest: datetime | None) -> None:
    if newest is None or newest - now <= GAP or not now - _JUST_NOW <= moment <= now:
        return
    raise ClockBehind(
        f"the database's clock was put back, and says {now.isoformat()} a second time: ask without"
        f" as_of for what is there now; times after {newest.isoformat()} come once"
    )


async def cut_as_of(database: Connects, streams: Sequence[str], moment: datetime) -> Cut:
    """As of a moment, of the streams of one row. Raises MomentLost."""
    past = await past_as_of(database, moment)
    async with database.connect() as connection:
        return await cut_of(connection, streams, past)


async def cut_of(connection: AsyncConnection, streams: Sequence[str], past: Past) -> Cut:
    """Of the streams of one row; where moments were kept, also of the streams of many."""
    if past.is_kept:
        return await _visible(connection, streams, past.kept)
    asked = {"streams": list(streams), "moment": past.moment, "window": _CLOCK_WINDOW}
    position = (await connection.execute(_RECORDED, asked)).scalar_one() or 0
    if past.after is None:
        return Cut(position)
    seen = await _visible(connection, streams, past.after)
    return Cut(min(position, seen.position), seen.versions)


async def _visible(connection: AsyncConnection, streams: Sequence[str], seen: Seen) -> Cut:
    asked = {
        "streams": list(streams),
        "snapshot": seen.snapshot,
        "floor": seen.floor,
        "ceiling": seen.ceiling,
    }
    found = (await connection.execute(_VISIBLE, asked)).all()
    versions = {name: version for name, version, position in found if position is not None}
    return Cut(max((one.position or 0 for one in found), default=0), versions)


def _seen(found: Row[Any], which: str) -> Seen | None:
    said = found._mapping  # noqa: SLF001  # this is its public name
    if said[f"{which}_at"] is None:
        return None
    return Seen(
        said[f"{which}_at"],
        said[f"{which}_until"],
        said[f"{which}_snapshot"],
        said[f"{which}_position"],
        said[f"{which}_epoch"],
        said[f"{which}_floor"],
        said[f"{which}_ceiling"],
    )


# `began_at` is when the epoch after that of the moment before began, where there is one.
_AROUND: Final[TextClause] = text("""
SELECT clock_timestamp() AS now, pg_current_snapshot()::text AS current,
    (SELECT until FROM moments ORDER BY at DESC LIMIT 1) AS newest,
    m.at AS m_at, m.until AS m_until, m.snapshot::text AS m_snapshot,
    m.position AS m_position, m.epoch AS m_epoch,
    coalesce((SELECT restored_position FROM store_epochs WHERE epoch = m.epoch), 0) AS m_floor,
    coalesce((SELECT min(restored_position) FROM store_epochs WHERE epoch > m.epoch),
        9223372036854775807) AS m_ceiling,
    n.at AS n_at, n.until AS n_until, n.snapshot::text AS n_snapshot,
    n.position AS n_position, n.epoch AS n_epoch,
    coalesce((SELECT restored_position FROM store_epochs WHERE epoch = n.epoch), 0) AS n_floor,
    coalesce((SELECT min(restored_position) FROM store_epochs WHERE epoch > n.epoch),
        9223372036854775807) AS n_ceiling,
    (SELECT max(began_at) FROM store_epochs WHERE epoch > m.epoch
        AND epoch <= coalesce(n.epoch, epoch)) AS began_at
FROM (SELECT) AS one
LEFT JOIN LATERAL (
    SELECT * FROM moments WHERE at <= :moment ORDER BY at DESC LIMIT 1) m ON true
LEFT JOIN LATERAL (
    SELECT * FROM moments WHERE at > :moment ORDER BY at LIMIT 1) n ON true
""")

# A stream's events are committed in the order of its versions, so what a moment sees of it is found
# by halving: a few index lookups, however long the stream is. With LIMIT 1 each is a lookup, also
# where a planner would rather join the many streams of a list with all events.
_VISIBLE: Final[TextClause] = text("""
WITH RECURSIVE halving AS (
    SELECT name, 0::bigint AS version, (2 ^ (floor(log(2, version)) + 1))::bigint AS step
    FROM streams WHERE name = ANY (CAST(:streams AS text[])) AND version > 0
    UNION ALL
    SELECT h.name, coalesce(e.version, h.version), h.step / 2
    FROM halving h LEFT JOIN LATERAL (
        SELECT e.version FROM events e
        WHERE e.stream = h.name AND e.version = h.version + h.step
            AND (e.position <= :floor OR (e.position <= :ceiling
                AND pg_visible_in_snapshot(e.txid, CAST(:snapshot AS pg_snapshot))))
        LIMIT 1
    ) e ON true
    WHERE h.step > 0
)
SELECT h.name, h.version, e.position FROM halving h
LEFT JOIN LATERAL (
    SELECT e.position FROM events e WHERE e.stream = h.name AND e.version = h.version LIMIT 1
) e ON true
WHERE h.step = 0
""")

# A stream's versions have no holes and its clock hardly ever goes back, so the last version that
# was recorded by the moment is found by halving: a few index lookups, however long the stream is.
# From there the window finds what has a later position, and was earlier by the clock.
_RECORDED: Final[TextClause] = text("""
WITH RECURSIVE halving AS (
    SELECT name, 0::bigint AS version, (2 ^ (floor(log(2, version)) + 1))::bigint AS step
    FROM streams WHERE name = ANY (CAST(:streams AS text[])) AND version > 0
    UNION ALL
    SELECT h.name, coalesce(e.version, h.version), h.step / 2
    FROM halving h LEFT JOIN LATERAL (
        SELECT e.version FROM events e
        WHERE e.stream = h.name AND e.version = h.version + h.step AND e.recorded_at <= :moment
    ) e ON true
    WHERE h.step > 0
)
SELECT max(e.position) FROM halving h CROSS JOIN LATERAL (
    SELECT e.position FROM events e
    WHERE e.stream = h.name AND e.version BETWEEN h.version AND h.version + :window
        AND e.recorded_at <= :moment
    ORDER BY e.version DESC LIMIT 1
) e
WHERE h.step = 0
""")
