"""What must be true of the store, its feed and whoever follows it: checked by `verify --feed`.

Each check is one query, read row by row in the snapshot of its transaction, so its memory does not
grow with the store. `docs/verify.md` says what each means and what to do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from handrail.eventstore.business_tables import EventIds
from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import shard_of
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.coverage import IS_COVERED
from handrail.messaging.consumers.prune_inbox import KEPT
from handrail.projections.projection import Projection
from handrail.restore.findings import around_the_events
from handrail.verify.feed_checks_of_the_lake import LAKE_CHECK
from handrail.verify.feed_checks_of_tokens import tokens_are_exact
from handrail.verify.violations import Violation

Check = Callable[[Connection], AsyncIterator[Violation]]
_ROWS: Final = 1000
_NUMBER: Final = "event_number(e.position, e.txid)"


async def _rows(
    connection: Connection, query: str, values: Mapping[str, object] | None = None
) -> AsyncIterator[tuple[Any, ...]]:
    async with connection.cursor(name="feed_checks") as cursor:
        cursor.itersize = _ROWS
        await cursor.execute(query, values)
        async for row in cursor:
            yield row


async def versions_without_holes(connection: Connection) -> AsyncIterator[Violation]:
    """The versions of each stream are 1, 2, 3 … up to the one its row says."""
    holes = (
        "SELECT stream, version, before FROM (SELECT stream, version,"
        " lag(version, 1, 0::bigint) OVER (PARTITION BY stream ORDER BY version) AS before"
        " FROM events) AS v WHERE version <> before + 1"
    )
    async for stream, version, before in _rows(connection, holes):
        yield Violation(f"{stream}: version {version} follows {before}")
    heads = (
        "SELECT name, version, newest FROM (SELECT s.name, s.version,"
        " coalesce((SELECT max(e.version) FROM events e WHERE e.stream = s.name), 0) AS newest"
        " FROM streams s) AS h WHERE version <> newest"
    )
    async for stream, version, newest in _rows(connection, heads):
        yield Violation(f"{stream}: its row says {version}, its newest event is {newest}")
    strays = (
        "SELECT DISTINCT e.stream FROM events e"
        " WHERE NOT EXISTS (SELECT FROM streams s WHERE s.name = e.stream)"
    )
    async for (stream,) in _rows(connection, strays):
        yield Violation(f"{stream}: has events and no row in streams")


async def shards_by_stream(connection: Connection) -> AsyncIterator[Violation]:
    """Each event is in the shard of its stream."""
    query = "SELECT stream, min(shard), max(shard) FROM events GROUP BY stream"
    async for stream, least, greatest in _rows(connection, query):
        if not least == greatest == shard_of(stream):
            yield Violation(f"{stream}: in shards {least} to {greatest}, not {shard_of(stream)}")


async def outbox_is_of_events(connection: Connection) -> AsyncIterator[Violation]:
    """Each row of the outbox is of an event, with its shard and its transaction."""
    query = (
        "SELECT o.position, e.position IS NULL FROM outbox o LEFT JOIN events e USING (position)"
        " WHERE e.position IS NULL OR o.shard <> e.shard OR o.txid <> e.txid AND e.position >"
        "  (SELECT coalesce(max(restored_position), 0) FROM store_epochs WHERE renumbered)"
    )
    async for position, is_missing in _rows(connection, query):
        message = "is of no event" if is_missing else "is not as its event"
        yield Violation(f"outbox row {position} {message}")


async def nothing_unseen_is_gone(connection: Connection) -> AsyncIterator[Violation]:
    """What the outbox holds no more was seen by every follower."""
    # Who reads from the beginning reads events, and needs of the outbox what that batch sees not.
    query = (
        "SELECT e.position, c.projection FROM events e JOIN checkpoints c ON c.shard = e.shard"
        " WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.position = e.position)"
        f" AND NOT pg_visible_in_snapshot({_NUMBER},"
        "  CASE WHEN c.since::text = %(nothing)s THEN c.until ELSE c.since END)"
    )
    async for position, follower in _rows(connection, query, {"nothing": NOTHING_SEEN}):
        yield Violation(f"event {position} has no outbox row, and {follower} has not seen it")


async def checkpoints_are_of_this_server(connection: Connection) -> AsyncIterator[Violation]:
    """Each follower has one checkpoint a shard, of this epoch, and none is ahead of the server."""
    shards = (
        "SELECT projection, count(*) FROM checkpoints GROUP BY projection HAVING count(*) <> 16"
    )
    async for follower, count in _rows(connection, shards):
        yield Violation(f"{follower}: has {count} checkpoints, not 16")
    query = (
        "SELECT projection, shard, epoch <> (SELECT coalesce(max(epoch), 1) FROM store_epochs)"
        " FROM checkpoints WHERE epoch <> (SELECT coalesce(max(epoch), 1) FROM store_epochs)"
        " OR pg_snapshot_xmax(since) > pg_snapshot_xmax(pg_current_snapshot())"
        " OR pg_snapshot_xmax(until) > pg_snapshot_xmax(pg_current_snapshot())"
        " OR pg_snapshot_xmax(until) < pg_snapshot_xmax(since)"
        " OR EXISTS (SELECT FROM pg_snapshot_xip(until) AS x (txid)"
        "  WHERE pg_visible_in_snapshot(x.txid, since))"
        " OR EXISTS (SELECT FROM pg_snapshot_xip(pg_current_snapshot()) AS x (txid)"
        "  WHERE pg_visible_in_snapshot(x.txid, since) OR pg_visible_in_snapshot(x.txid, until))"
        " OR shard NOT BETWEEN 0 AND 15"
    )
    async for follower, shard, is_of_another in _rows(connection, query):
        message = "is of another epoch" if is_of_another else "knows what this server has not done"
        yield Violation(f"{follower}: the checkpoint of shard {shard} {message}")


async def consumers_have_what_they_passed(
    consumers: Sequence[Consumer], connection: Connection
) -> AsyncIterator[Violation]:
    """What a consumer's checkpoint covers is in its inbox, or parked, as long as that is kept."""
    query = (
        "SELECT e.position FROM events e"
        " WHERE e.recorded_at > statement_timestamp() - %(kept)s AND e.type = ANY (%(types)s)"
        f" AND {IS_COVERED} AND NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = %(consumer)s"
        "  AND i.id = e.stream || '/' || e.version)"
        " AND NOT EXISTS (SELECT FROM parked_messages p WHERE p.consumer = %(consumer)s"
        "  AND p.stream = e.stream AND p.version = e.version)"
    )
    for consumer in consumers:
        asked = {
            "kept": KEPT,
            "types": sorted(consumer.types),
            "consumer": consumer.name,
            "follower": consumer.follower,
        }
        async for (position,) in _rows(connection, query, asked):
            yield Violation(f"{consumer.name}: has passed event {position}, and not handled it")


async def parked_rows_are_of_events(
    projections: Sequence[Projection[Any]], connection: Connection
) -> AsyncIterator[Violation]:
    """Each event that is parked is there, and its stream has nothing newer that was applied."""
    query = (
        "SELECT p.projection, p.stream, p.position FROM parked_events p WHERE NOT EXISTS"
        " (SELECT FROM events e WHERE e.position = p.position AND e.stream = p.stream)"
    )
    async for follower, stream, position in _rows(connection, query):
        yield Violation(f"{follower}: event {position} of {stream} is parked, and not stored")
    overtaken = (
        "SELECT f.stream, e.position FROM (SELECT stream, min(position) AS first"
        "  FROM parked_events WHERE projection = %(name)s GROUP BY stream) AS f"
        " JOIN events e ON e.stream = f.stream AND e.position > f.first"
        "  AND e.type = ANY (%(types)s)"
        " JOIN checkpoints c ON c.projection = %(name)s AND c.shard = e.shard"
        f" WHERE pg_visible_in_snapshot({_NUMBER}, c.since) AND NOT EXISTS (SELECT FROM"
        "  parked_events p WHERE (p.projection, p.stream, p.position)"
        "   = (%(name)s, f.stream, e.position))"
    )
    for one in projections:
        asked = {"name": one.name, "types": sorted(one.types)}
        async for stream, position in _rows(connection, overtaken, asked):
            message = f"event {position} of {stream} was applied before one that is parked"
            yield Violation(f"{one.name}: {message}")


async def messages_wait_in_order(connection: Connection) -> AsyncIterator[Violation]:
    """What waits at a consumer keeps its stream waiting, nothing newer was handled, and no stream
    waits behind nothing.
    """
    free = (
        "SELECT DISTINCT m.consumer, m.stream FROM parked_messages m WHERE m.settled_at IS NULL"
        " AND NOT EXISTS (SELECT FROM parked_streams p"
        "  WHERE p.consumer = m.consumer AND p.stream = m.stream)"
    )
    async for consumer, stream in _rows(connection, free):
        yield Violation(f"{consumer}: a message of {stream} waits, and the stream goes on")
    behind_nothing = (
        "SELECT p.consumer, p.stream FROM parked_streams p WHERE NOT EXISTS"
        " (SELECT FROM parked_messages m WHERE m.consumer = p.consumer"
        "  AND m.stream = p.stream AND m.settled_at IS NULL)"
    )
    async for consumer, stream in _rows(connection, behind_nothing):
        yield Violation(f"{consumer}: {stream} is parked, and no message of it waits")
    overtaken = (
        "SELECT f.consumer, f.stream, e.version, f.first FROM (SELECT consumer, stream,"
        "  min(version) AS first FROM parked_messages WHERE settled_at IS NULL"
        "  GROUP BY consumer, stream) AS f"
        " JOIN events e ON e.stream = f.stream AND e.version > f.first"
        " JOIN inbox i ON i.consumer = f.consumer AND i.id = e.stream || '/' || e.version"
    )
    async for consumer, stream, version, first in _rows(connection, overtaken):
        yield Violation(f"{consumer}: {stream}/{version} was handled, and {first} waits")


async def nothing_is_of_lost_events(
    event_ids: Sequence[EventIds], connection: Connection
) -> AsyncIterator[Violation]:
    """What inboxes, parked messages, notifications and effects of consumers are of, is stored."""
    for found in await around_the_events(connection, event_ids):
        if found.of not in {"checkpoints", "parked_events"}:
            yield Violation(found.said)


def feed_checks(
    projections: Sequence[Projection[Any]],
    consumers: Sequence[Consumer],
    codec: Codec,
    event_ids: Sequence[EventIds] = (),
) -> Mapping[str, Check]:
    """The checks by name, of these read models, consumers and columns with ids of events."""
    return {
        "versions_without_holes": versions_without_holes,
        "shards_by_stream": shards_by_stream,
        "outbox_is_of_events": outbox_is_of_events,
        "nothing_unseen_is_gone": nothing_unseen_is_gone,
        "checkpoints_are_of_this_server": checkpoints_are_of_this_server,
        "consumers_have_what_they_passed": partial(consumers_have_what_they_passed, consumers),
        "parked_rows_are_of_events": partial(parked_rows_are_of_events, projections),
        "messages_wait_in_order": messages_wait_in_order,
        "nothing_is_of_lost_events": partial(nothing_is_of_lost_events, event_ids),
        "tokens_are_exact": partial(tokens_are_exact, projections, codec),
    }


REMEDIES: Final[Mapping[str, str]] = {
    "versions_without_holes": "the store lost rows: restore it from a backup, docs/restore.md",
    "shards_by_stream": "rebuild read models and rewind consumers that missed it",
    "outbox_is_of_events": "rebuild read models and rewind consumers that missed it",
    "nothing_unseen_is_gone": "handrail projections rebuild, or handrail consumers rewind",
    "checkpoints_are_of_this_server": "handrail restore check",
    "consumers_have_what_they_passed": "handrail consumers rewind, to before that event",
    "parked_rows_are_of_events": "handrail projections rebuild, of that read model",
    "messages_wait_in_order": "handrail consumers retry; then see whether order mattered",
    "nothing_is_of_lost_events": "handrail restore check",
    "tokens_are_exact": "handrail projections rebuild, of that read model",
    LAKE_CHECK: "handrail lake forget --yes, and export anew into an empty folder",
}
"""What an operator does where a check finds something."""
