"""Consumers without a broker: the same handlers, fed by the event store itself.

A page is one transaction: what its events do, their inbox rows and the checkpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import structlog

from eventstore import checkpoints
from eventstore.checkpoints import Checkpoint
from eventstore.feed import Page
from eventstore.following.enrolling import enroll
from eventstore.following.follower import Follower
from eventstore.following.handling import Handled
from eventstore.pool import Connection, Pool
from eventstore.tables import NOTHING_SEEN
from messaging.consumer import Consumer
from messaging.envelope import Received, received_from_store
from messaging.failures import cause_of, is_of_the_database
from messaging.inbox import park, receive, receive_all

_log = structlog.get_logger(__name__)

_PAGE: Final = 200
_TRIES: Final = 3
_NEXT_LOOK: Final = 0.2
"""Seconds until it is seen whether others are done with their share."""


class Feeding(Follower):
    """What a Follower is, for one consumer. For `options` see there."""

    def __init__(self, pool: Pool, consumer: Consumer, **options: Any) -> None:
        super().__init__(pool, FromStore(consumer), **{"page": _PAGE, **options})


class FromStore:
    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer

    @property
    def kind(self) -> str:
        return self.consumer.follower

    async def followers(self, connection: Connection) -> Sequence[str]:
        await enroll(connection, self.consumer.follower)
        return [self.consumer.follower]

    async def handle(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page, lease: timedelta
    ) -> Handled:
        wanted = self.wanted(page)
        try:
            async with connection.transaction():
                move = await checkpoints.move(connection, group, page.next, lease)
                moved = checkpoints.moved(move, group, page.next)
                if wanted:
                    await receive_all(connection, self.consumer, wanted)
        except Exception as error:
            if not _is_of_a_message(connection, error):
                raise
            _log.info("page is handled one by one", consumer=self.kind, error=cause_of(error))
            async with connection.transaction():
                move = await checkpoints.move(connection, group, page.next, lease)
                moved = checkpoints.moved(move, group, page.next)
                for received in wanted:
                    await self.handle_or_park(connection, received)
        return Handled(moved=list(moved))

    def wanted(self, page: Page) -> Sequence[Received]:
        types = self.consumer.types
        return [received_from_store(one) for one in page.events if one.type in types]

    async def handle_or_park(self, connection: Connection, received: Received) -> None:
        """Raises the error of a database that is at fault."""
        for _ in range(_TRIES):
            try:
                await receive(connection, self.consumer, received)
            except Exception as error:
                if not _is_of_a_message(connection, error):
                    raise
                cause = cause_of(error)
            else:
                return
        await park(connection, self.consumer, received, cause, _TRIES)
        _log.error("message parked", consumer=self.kind, id=received.id, cause=cause)


def _is_of_a_message(connection: Connection, error: Exception) -> bool:
    return not (
        connection.closed or isinstance(error, checkpoints.LostLease) or is_of_the_database(error)
    )


# Of a batch that is being read, what is left lies along the positions; whatever that batch does not
# hold is found by its transaction, as the feed finds it (`feed_recent`).
_CAUGHT_UP: Final = """
SELECT count(*) > 0 AND NOT bool_or(
    c.since::text = %(nothing)s
    OR EXISTS (
        SELECT FROM outbox o
        WHERE o.txid >= pg_snapshot_xmax(coalesce(c.until, c.since))
          AND o.txid < pg_snapshot_xmax(%(goal)s::pg_snapshot)
          AND o.shard = c.shard AND pg_visible_in_snapshot(o.txid, %(goal)s::pg_snapshot))
    OR EXISTS (
        SELECT FROM outbox o
        WHERE o.txid = ANY (ARRAY(SELECT pg_snapshot_xip(coalesce(c.until, c.since))))
          AND o.shard = c.shard AND pg_visible_in_snapshot(o.txid, %(goal)s::pg_snapshot))
    OR c.until IS NOT NULL AND EXISTS (
        SELECT FROM outbox o
        WHERE o.position > c.after_position AND o.shard = c.shard
          AND pg_visible_in_snapshot(o.txid, c.until)
          AND pg_visible_in_snapshot(o.txid, %(goal)s::pg_snapshot)
          AND NOT pg_visible_in_snapshot(o.txid, c.since)))
FROM checkpoints c WHERE c.projection = %(name)s
"""


async def has_caught_up(connection: Connection, consumer: Consumer, goal: str) -> bool:
    """It has handled or parked every event that the snapshot `goal` sees."""
    cursor = await connection.execute(
        _CAUGHT_UP, {"name": consumer.follower, "goal": goal, "nothing": NOTHING_SEEN}
    )
    [(caught_up,)] = await cursor.fetchall()
    return bool(caught_up)


async def snapshot(connection: Connection) -> str:
    """What is stored by now, as a goal for those who follow."""
    cursor = await connection.execute("SELECT pg_current_snapshot()::text")
    [(now,)] = await cursor.fetchall()
    return str(now)


async def catch_up(pool: Pool, consumer: Consumer, **options: Any) -> int:
    """Handle whatever the store has by now, beside others that do the same; answers how many events
    this process read for it.
    """
    feeding = Feeding(pool, consumer, **options)
    async with pool.connection() as connection:
        goal = await snapshot(connection)
    while True:
        await feeding.catch_up()
        async with pool.connection() as connection:
            if await has_caught_up(connection, consumer, goal):
                return feeding.events_read
        await asyncio.sleep(_NEXT_LOOK)


async def begin(pool: Pool, consumer: Consumer, **options: Any) -> int:
    """Catch up, where the consumer is new; answers as `catch_up` does."""
    async with pool.connection() as connection:
        await enroll(connection, consumer.follower)
        cursor = await connection.execute(
            "SELECT bool_or(since::text = %s) FROM checkpoints WHERE projection = %s",
            (NOTHING_SEEN, consumer.follower),
        )
        [(is_new,)] = await cursor.fetchall()
    return await catch_up(pool, consumer, **options) if is_new else 0
