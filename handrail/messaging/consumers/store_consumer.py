"""Consumers without a broker: the same handlers, fed by the event store itself.

A page is one transaction: what its events do, their inbox rows and the checkpoint.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from handrail.eventstore import checkpoints, newer_code_waits
from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.codec import Codec
from handrail.eventstore.feed import Page
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import Recorded
from handrail.eventstore.subscriptions.page_handler import Handled
from handrail.eventstore.subscriptions.registration import enroll
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.messaging.consumers.backfill import backfill, groups, read_on
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.pages import handle_or_park, handle_page
from handrail.messaging.consumers.wants import left_behind, register
from handrail.messaging.envelope import Received, received_from_store
from handrail.tracing import spans

_PAGE: Final = 200
_BACKFILL: Final = 3.0
"""Seconds that types are read from history before the process looks whether it is to stop."""
_NEXT_LOOK: Final = 0.2
"""Seconds until it is seen whether others are done with their share."""
_NEXT_TRY: Final = 5.0
"""Seconds until it is seen whether a process of newer code has read on."""


class NewerCodeNeeded(Exception):
    """Events wait for a process whose code reads them: says which, and since when."""


class Feeding(Subscriber):
    """What a Follower is, for one consumer. For `options` see there."""

    def __init__(self, pool: Pool, consumer: Consumer, codec: Codec, **options: Any) -> None:
        super().__init__(pool, FromStore(consumer, codec), **{"page": _PAGE, **options})


class FromStore:
    def __init__(self, consumer: Consumer, codec: Codec) -> None:
        self.consumer = consumer
        self._codec = codec
        self._is_registered = False

    @property
    def kind(self) -> str:
        return self.consumer.follower

    async def followers(self, connection: Connection) -> Sequence[str]:
        """Nobody, as long as types are read from history: what comes later waits for that."""
        await enroll(connection, self.consumer.follower)
        if not self._is_registered:
            await register(connection, self.consumer)
            self._is_registered = True
        _, done = await read_on(connection, self.consumer, self._codec, seconds=_BACKFILL)
        return [self.consumer.follower] if done else []

    def reads(self, type_: str, schema: int) -> bool:
        return self._codec.reads(type_, schema)

    def wants(self, _: str, event: Recorded) -> bool:
        """A type of newer code that the consumer wants there is left behind for it: `wants.py`."""
        return event.type in self.consumer.types

    async def handle(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page, lease: timedelta
    ) -> Handled:
        async def move() -> Sequence[Checkpoint]:
            return await self.move(connection, group, page, lease)

        taken, wanted = time.time_ns(), self.wanted(page)
        moved = await handle_page(connection, self.consumer, wanted, move)
        if spans.is_on():
            for one in wanted:
                spans.waited_in_outbox(
                    self.consumer.name, one.metadata, one.recorded_at, one.id, taken
                )
        return Handled(moved=list(moved))

    async def move(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page, lease: timedelta
    ) -> Sequence[Checkpoint]:
        """Move the checkpoints over the page; what others want of it is left behind for them."""
        beside = left_behind(self.consumer, page)
        answer = await checkpoints.move(connection, group, page.next, lease, beside)
        return checkpoints.moved(answer, group, page.next)

    def wanted(self, page: Page) -> Sequence[Received]:
        types = self.consumer.types
        return [
            received_from_store(event, self._codec) for event in page.events if event.type in types
        ]

    async def handle_or_park(self, connection: Connection, received: Received) -> None:
        """Raises the error of a database that is at fault."""
        await handle_or_park(connection, self.consumer, received)


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


async def catch_up(pool: Pool, consumer: Consumer, codec: Codec, **options: Any) -> int:
    """Handle whatever the store has by now, beside others that do the same; answers how many events
    this process read for it. Raises NewerCodeNeeded.
    """
    feeding = Feeding(pool, consumer, codec, **options)
    async with pool.connection() as connection:
        goal = await snapshot(connection)
    while True:
        await feeding.catch_up()
        async with pool.connection() as connection:
            if await has_caught_up(connection, consumer, goal) and not await groups(
                connection, consumer
            ):
                return feeding.events_read
            if waits := await newer_code_waits.waiting(connection, [consumer.follower]):
                raise NewerCodeNeeded("; ".join(f"{consumer.name} {one}" for one in waits))
        await asyncio.sleep(_NEXT_LOOK)


async def begin(pool: Pool, consumer: Consumer, codec: Codec, **options: Any) -> int:
    """Catch up, where the consumer is new, and read from history the types that it wants now and
    did not before; answers how many events were read, or handled, for it.
    """
    async with pool.connection() as connection:
        await enroll(connection, consumer.follower)
        await register(connection, consumer)
        cursor = await connection.execute(
            "SELECT bool_or(since::text = %s) FROM checkpoints WHERE projection = %s",
            (NOTHING_SEEN, consumer.follower),
        )
        [(is_new,)] = await cursor.fetchall()
    while is_new:
        try:
            return await catch_up(pool, consumer, codec, **options)
        except NewerCodeNeeded:
            await asyncio.sleep(_NEXT_TRY)
    return await backfill(pool, consumer, codec)
