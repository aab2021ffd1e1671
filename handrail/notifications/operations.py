"""What a person does with messages that were not sent: look at them, try again, give them up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from handrail.eventstore.pool import Connection
from handrail.kernel import Attribution
from handrail.notifications.contacts import Channel
from handrail.notifications.queue import LANES, Lane
from handrail.notifications.tables import RECIPIENT

_BATCH: Final = 10_000


@dataclass(frozen=True)
class Stuck:
    """`parked` was tried often enough without a clear answer; `failed` got a clear no."""

    lane: Lane
    source: str
    channel: Channel
    kind: str
    recipient: str
    state: str
    attempts: int
    reason: str | None
    settled_at: datetime


@dataclass(frozen=True)
class StuckFilter:
    """`source` and `channel` narrow it down; without them it is all that are stuck."""

    source: str | None = None
    channel: Channel | None = None


_ANY: Final = StuckFilter()
_STUCK: Final = (
    "state IN ('failed', 'parked') AND (%(source)s::text IS NULL OR source = %(source)s)"
    " AND (%(channel)s::text IS NULL OR channel = %(channel)s)"
)


async def stuck(connection: Connection, *, limit: int = 1000) -> Sequence[Stuck]:
    """The longest waiting first."""
    cursor = await connection.execute(
        f"SELECT lane, source, channel, kind, {RECIPIENT}, state, attempts, reason, settled_at"
        " FROM notifications WHERE state IN ('failed', 'parked')"
        " ORDER BY settled_at, source, channel LIMIT %s",
        (limit,),
    )
    return [Stuck(*row) for row in await cursor.fetchall()]


async def retry(connection: Connection, by: Attribution, which: StuckFilter = _ANY) -> int:
    """Have them sent from now on. How many they are.

    What may have been sent keeps its key, its content and its address: the provider knows whether
    it has it. What was refused goes out under a new key, to where the recipient is now.
    """
    cursor = await connection.execute(
        "UPDATE notifications SET state = 'waiting', due_at = clock_timestamp(), attempts = 0,"
        " settled_at = NULL, actor = %(actor)s, actor_reason = %(why)s,"
        " round = round + (state = 'failed')::int,"
        " address = CASE WHEN state = 'parked' THEN address END"
        f" WHERE {_STUCK}",
        _parameters(by, which),
    )
    return cursor.rowcount


async def discard(connection: Connection, by: Attribution, which: StuckFilter = _ANY) -> int:
    """Never send them. How many they are."""
    cursor = await connection.execute(
        "UPDATE notifications SET state = 'discarded', settled_at = clock_timestamp(),"
        f" actor = %(actor)s, actor_reason = %(why)s WHERE {_STUCK}",
        _parameters(by, which),
    )
    return cursor.rowcount


async def stop_campaign(connection: Connection, by: Attribution, name: str) -> int:
    """Put in nobody else, and give up what waits of it. How many messages that were."""
    await connection.execute(
        "UPDATE campaigns SET finished_at = clock_timestamp()"
        " WHERE name = %s AND finished_at IS NULL",
        (name,),
    )
    stopped = 0
    while True:
        cursor = await connection.execute(
            "WITH batch AS MATERIALIZED (SELECT source, channel FROM notifications"
            " WHERE lane = 'campaign' AND state = 'waiting' AND campaign = %s LIMIT %s FOR UPDATE)"
            " UPDATE notifications AS n SET state = 'discarded', settled_at = clock_timestamp(),"
            " actor = %s, actor_reason = %s FROM batch WHERE n.lane = 'campaign'"
            " AND n.source = batch.source AND n.channel = batch.channel",
            (name, _BATCH, by.actor, by.reason),
        )
        stopped += cursor.rowcount
        if cursor.rowcount == 0:
            return stopped


@dataclass(frozen=True)
class Standing:
    """Of one lane: how many wait, since when the oldest could have been sent (seconds), and how
    many wait for a person.
    """

    lane: Lane
    waiting: int
    seconds: float
    parked: int
    failed: int


STANDING: Final = (
    "SELECT lane, count(*) FILTER (WHERE state = 'waiting'),"
    " greatest(extract(epoch FROM clock_timestamp()"
    " - min(due_at) FILTER (WHERE state = 'waiting')), 0)::float,"
    " count(*) FILTER (WHERE state = 'parked'), count(*) FILTER (WHERE state = 'failed')"
    " FROM notifications WHERE state = 'waiting' OR state IN ('failed', 'parked') GROUP BY lane"
)


def standing_of(rows: Iterable[Sequence[Any]]) -> Sequence[Standing]:
    """What the rows of STANDING say; a lane that has none stands empty."""
    found = {row[0]: row[1:] for row in rows}
    return [Standing(lane, *found.get(lane, (0, 0.0, 0, 0))) for lane in LANES]


async def standing(connection: Connection) -> Sequence[Standing]:
    cursor = await connection.execute(STANDING)
    return standing_of(await cursor.fetchall())


def _parameters(by: Attribution, which: StuckFilter) -> dict[str, str | None]:
    return {
        "actor": by.actor,
        "why": by.reason,
        "source": which.source,
        "channel": which.channel,
    }
