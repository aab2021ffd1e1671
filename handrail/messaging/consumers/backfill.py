"""Reads from history the types that a consumer's checkpoint does not stand for.

Those that stand at the same place are read together, along the positions, up to where the
checkpoint of their shard is. A page is one transaction: its effects, its inbox rows, and where the
types stand then. So any number of processes may do it at once, and one that dies loses and doubles
nothing.

It goes in rounds: one reads what the checkpoints had passed when it began. Only its beginning locks
them, so it ends however fast other processes move them on meanwhile.

The order that can be promised: what is read here comes in the order of its streams, and before this
process follows the feed any further. Events of other types that were handled earlier stay handled:
behind later ones of their own stream these come late.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from handrail.eventstore.checkpoints import LostLease
from handrail.eventstore.codec import Codec
from handrail.eventstore.feed import Cursor
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import Recorded
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.coverage import SAME_PLACE
from handrail.messaging.consumers.pages import handle_page
from handrail.messaging.envelope import Received, received_from_store

_log = structlog.get_logger(__name__)

_PAGE: Final = 200
_WINDOW: Final = 20_000
"""Positions that one statement looks at, at most; those that no event has do not count."""
_NEWEST: Final = (
    "SELECT coalesce((SELECT max(position) FROM events), 0), coalesce((SELECT"
    " array_agg(ARRAY[restored_position, first_position - 1] ORDER BY first_position)"
    " FROM store_epochs), '{}')"
)
Gaps = Sequence[tuple[int, int]]
"""Of each epoch of the store, the position behind which there is no event, and up to which."""
_ROUNDS: Final = 3
NOWHERE: Final = 2**63 - 1
"""Of a backfill's `from_position`: nothing is missing that its cursor does not tell."""


@dataclass(frozen=True)
class Progress:
    """`handled` events of a backfill so far; it stands at `position`, and the store at `newest`."""

    handled: int
    position: int
    newest: int


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Place:
    """Where types of shards stand, and where the checkpoints of these shards do."""

    cursor: Cursor
    nothing_missing: bool
    """Its cursor tells all that is missing."""
    again: bool
    begun_at: datetime | None
    """Of those that are handled again."""
    target: Cursor


@dataclass(frozen=True)
class Group:
    place: Place
    types: Sequence[str]
    shards: Sequence[int]
    """Of each type its shard: both lists are of the same length."""

    @property
    def pairs(self) -> Sequence[tuple[str, int]]:
        return list(zip(self.types, self.shards, strict=True))

    @property
    def is_done(self) -> bool:
        place = self.place
        ended = self.is_between_rounds and place.nothing_missing
        return ended or place.cursor == place.target

    @property
    def is_between_rounds(self) -> bool:
        return self.place.cursor.until is None


async def groups(connection: Connection, consumer: Consumer) -> Sequence[Group]:
    """What of the types that the consumer wants is to be read."""
    cursor = await connection.execute(
        "SELECT b.type, b.shard, b.since::text, b.until::text, b.after_position, b.from_position,"
        " b.again, CASE WHEN b.again THEN b.begun_at END, c.since::text,"
        " c.until::text, c.after_position"
        " FROM consumer_backfills b JOIN checkpoints c ON c.shard = b.shard AND c.projection = %s"
        " WHERE b.consumer = %s AND b.type = ANY (%s) ORDER BY b.shard, b.type",
        (consumer.follower, consumer.name, sorted(consumer.types)),
    )
    found: dict[Place, list[tuple[str, int]]] = defaultdict(list)
    for (
        type_,
        shard,
        since,
        until,
        after,
        first,
        again,
        begun_at,
        *target,
    ) in await cursor.fetchall():
        nothing_missing = until is None and first == NOWHERE
        place = Place(
            Cursor(since, until, after), nothing_missing, again, begun_at, Cursor(*target)
        )
        found[place].append((type_, shard))
    return [
        Group(place, [type_ for type_, _ in pairs], [shard for _, shard in pairs])
        for place, pairs in found.items()
    ]


async def backfill(
    pool: Pool, consumer: Consumer, codec: Codec, report: Report | None = None
) -> int:
    """Read all that is missing; answers how many events were handled for it."""
    async with pool.connection() as connection:
        handled, _ = await read_on(connection, consumer, codec, report=report)
    return handled


async def read_on(
    connection: Connection,
    consumer: Consumer,
    codec: Codec,
    *,
    seconds: float | None = None,
    report: Report | None = None,
) -> tuple[int, bool]:
    """Read what is missing, for about so many seconds; answers how many events were handled, and
    whether it came to an end.

    What others leave behind all the time, it reads a few times and then leaves to the next call.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    handled = 0
    rounds = Counter[tuple[str, int]]()
    while True:
        found = await groups(connection, consumer)
        beginning = {
            pair
            for one in found
            if one.is_between_rounds and not one.is_done
            for pair in one.pairs
            if rounds[pair] < _ROUNDS
        }
        if beginning:
            rounds.update(beginning)
            await _begin_rounds(connection, consumer, sorted(beginning))
            found = await groups(connection, consumer)
        left = [one for one in found if one.is_done or not one.is_between_rounds]
        if not left:
            break
        [(newest, gaps)] = await (await connection.execute(_NEWEST)).fetchall()
        for group in left:
            if deadline is not None and time.monotonic() > deadline:
                return handled, False
            try:
                if group.is_done:
                    await _finish(connection, consumer, group)
                    continue
                count, position = await _step(connection, consumer, codec, group, newest, gaps)
            except LostLease as lost:  # another process was faster
                _log.info("backfill looks again", consumer=consumer.name, detail=str(lost))
                continue
            handled += count
            if report:
                report(Progress(handled, position, newest))
    if handled:
        _log.info("backfill is complete", consumer=consumer.name, events=handled)
    return handled, True


async def _begin_rounds(
    connection: Connection, consumer: Consumer, pairs: Sequence[tuple[str, int]]
) -> None:
    """A round reads what one snapshot sees and `since` does not: up to where the checkpoint is, be
    it between two batches or within one.

    It knows all that is missing so far. What is left behind from now on lowers `from_position`
    again; what is left behind while a round begins waits for the checkpoints.
    """
    async with connection.transaction():
        await _lock_checkpoints(connection, consumer, [shard for _, shard in pairs])
        await connection.execute(
            "UPDATE consumer_backfills AS b SET after_position = greatest(b.from_position - 1, 0),"
            " until = CASE WHEN b.since::text = c.since::text THEN c.until ELSE c.since END,"
            f" from_position = {NOWHERE}"
            " FROM unnest(%(types)s::text[], %(shards)s::smallint[]) AS t (type, shard),"
            " checkpoints c"
            " WHERE b.consumer = %(consumer)s AND b.type = t.type AND b.shard = t.shard"
            " AND c.projection = %(follower)s AND c.shard = b.shard"
            f" AND b.until IS NULL AND NOT ({SAME_PLACE})",
            {
                "consumer": consumer.name,
                "follower": consumer.follower,
                "types": [type_ for type_, _ in pairs],
                "shards": [shard for _, shard in pairs],
            },
        )


async def _lock_checkpoints(
    connection: Connection, consumer: Consumer, shards: Sequence[int]
) -> None:
    await connection.execute(
        "SELECT FROM checkpoints WHERE projection = %s AND shard = ANY (%s) ORDER BY shard"
        " FOR UPDATE",
        (consumer.follower, list(shards)),
    )


async def _step(  # noqa: PLR0917  # all that a page is made from
    connection: Connection,
    consumer: Consumer,
    codec: Codec,
    group: Group,
    newest: int,
    gaps: Gaps,
) -> tuple[int, int]:
    """One page; answers how many events it had, and the position behind it. Raises LostLease."""
    cursor, target = group.place.cursor, group.place.target
    within = (cursor.since, cursor.until) == (target.since, target.until)
    last = target.after if within else newest
    upto = min(last, _window_end(cursor.after, gaps))
    recorded = await _page(connection, consumer, group, cursor, upto)
    messages = [received_from_store(one, codec) for one in recorded]
    after = messages[-1].position if len(messages) == _PAGE else max(upto, cursor.after)
    ended = after >= last
    assert cursor.until is not None
    to = Cursor(cursor.since, cursor.until, after)
    if ended and not within:
        to = Cursor(cursor.until)
    again = group.place.again and not (ended and not within)

    async def move() -> None:
        await _move(connection, consumer, group, to, again=again)
        if group.place.begun_at:
            await _forget(connection, consumer, messages, group.place.begun_at)

    await handle_page(connection, consumer, messages, move)
    return len(messages), after


def _window_end(after: int, gaps: Gaps) -> int:
    end = after + _WINDOW
    for begin, upto in gaps:
        if after < upto and begin < end:
            end += upto - max(begin, after)
    return end


async def _page(
    connection: Connection, consumer: Consumer, group: Group, cursor: Cursor, upto: int
) -> Sequence[Recorded]:
    """What was discarded is left out: a person decided that it has no effect."""
    found = await connection.execute(
        "SELECT e.position, e.stream, e.version, e.type, e.schema, e.data, e.metadata,"
        " e.recorded_at FROM events e"
        " WHERE e.position > %(after)s AND e.position <= %(upto)s"
        " AND pg_visible_in_snapshot(event_number(e.position, e.txid), %(until)s::pg_snapshot)"
        " AND NOT pg_visible_in_snapshot(event_number(e.position, e.txid), %(since)s::pg_snapshot)"
        " AND (e.type, e.shard) IN"
        "  (SELECT * FROM unnest(%(types)s::text[], %(shards)s::smallint[]))"
        " AND NOT EXISTS (SELECT FROM parked_messages p WHERE p.consumer = %(consumer)s"
        "  AND p.stream = e.stream AND p.version = e.version AND p.settled_as = 'discarded')"
        " ORDER BY e.position LIMIT %(limit)s",
        {
            "after": cursor.after,
            "upto": upto,
            "since": cursor.since,
            "until": cursor.until,
            "types": group.types,
            "shards": group.shards,
            "consumer": consumer.name,
            "limit": _PAGE,
        },
    )
    return [Recorded(*row) for row in await found.fetchall()]


_THESE: Final = (
    " FROM unnest(%(types)s::text[], %(shards)s::smallint[]) AS t (type, shard)"
    " WHERE b.consumer = %(consumer)s AND b.type = t.type AND b.shard = t.shard"
)
_UNMOVED: Final = (
    " AND b.since::text = %(since)s AND b.until::text IS NOT DISTINCT FROM %(until)s::text"
    " AND b.after_position = %(after)s"
)


async def _move(
    connection: Connection, consumer: Consumer, group: Group, to: Cursor, *, again: bool
) -> None:
    """Compare and set. Raises LostLease."""
    place = group.place
    moved = await connection.execute(
        "UPDATE consumer_backfills AS b SET since = %(to_since)s::pg_snapshot,"
        " until = %(to_until)s::pg_snapshot, after_position = %(to_after)s, again = %(again)s"
        f"{_THESE}{_UNMOVED}",
        {
            "to_since": to.since,
            "to_until": to.until,
            "to_after": to.after,
            "again": again,
            "since": place.cursor.since,
            "until": place.cursor.until,
            "after": place.cursor.after,
            "consumer": consumer.name,
            "types": group.types,
            "shards": group.shards,
        },
    )
    if moved.rowcount != len(group.types):
        raise LostLease(f"{moved.rowcount} of {len(group.types)} backfills were where they stood")


async def _forget(
    connection: Connection, consumer: Consumer, messages: Sequence[Received], before: datetime
) -> None:
    """What the inbox has noted since is not forgotten: it was handled again by another way."""
    await connection.execute(
        "DELETE FROM inbox WHERE consumer = %s AND id = ANY (%s) AND received_at < %s",
        (consumer.name, [message.id for message in messages], before),
    )


async def _finish(connection: Connection, consumer: Consumer, group: Group) -> None:
    """From now on the checkpoint stands for these types again, unless something was left behind
    meanwhile.

    Its revision changes: who is about to move it, and does not want them, has to look once more.
    """
    async with connection.transaction():
        await _lock_checkpoints(connection, consumer, group.shards)
        deleted = await connection.execute(
            "DELETE FROM consumer_backfills AS b"
            " USING unnest(%(types)s::text[], %(shards)s::smallint[]) AS t (type, shard),"
            " checkpoints c"
            " WHERE b.consumer = %(consumer)s AND b.type = t.type AND b.shard = t.shard"
            " AND c.projection = %(follower)s AND c.shard = b.shard"
            " AND ((b.until IS NULL AND b.from_position = %(nowhere)s)"
            f" OR ({SAME_PLACE})) RETURNING b.shard",
            {
                "consumer": consumer.name,
                "follower": consumer.follower,
                "types": group.types,
                "shards": group.shards,
                "nowhere": NOWHERE,
            },
        )
        await connection.execute(
            "UPDATE checkpoints SET revision = revision + 1"
            " WHERE projection = %s AND shard = ANY (%s)",
            (consumer.follower, [shard for (shard,) in await deleted.fetchall()]),
        )
