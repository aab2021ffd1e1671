"""Sees to it that everything a consumer wants reaches it, though a broker brings it.

It follows the feed behind the broker, and its checkpoint moves over an event once the consumer has
handled or parked it. So how far the consumer is can be seen as without a broker, and the outbox is
kept until then. What the broker did not bring in time, because a queue was not bound yet or a
federation has lost its link for long, is handled from the store: the broker is only a way there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import structlog

from handrail.eventstore.checkpoints import Checkpoint
from handrail.eventstore.codec import Codec
from handrail.eventstore.feed import Page
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import Recorded
from handrail.eventstore.subscriptions.page_handler import Handled
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.store_consumer import FromStore
from handrail.messaging.envelope import Received

_log = structlog.get_logger(__name__)

_POLL: Final = 0.5
"""Seconds between two looks. The broker is faster: nobody waits for this."""


class Settling(Subscriber):
    """`patience` is how many seconds an event may take through the broker."""

    def __init__(
        self, pool: Pool, consumer: Consumer, codec: Codec, *, patience: float, **options: Any
    ) -> None:
        self._behind = BehindTheBroker(consumer, codec, patience)
        super().__init__(pool, self._behind, **{"poll": _POLL, **options})

    @property
    def late(self) -> int:
        """How many events it handled from the store, since it began."""
        return self._behind.late

    async def run(self, stop: asyncio.Event) -> None:
        self._behind.stop = stop
        await super().run(stop)


class BehindTheBroker(FromStore):
    def __init__(self, consumer: Consumer, codec: Codec, patience: float) -> None:
        super().__init__(consumer, codec)
        self._patience = timedelta(seconds=patience)
        self.stop = asyncio.Event()
        self.late = 0

    def wants(self, _: str, __: Recorded) -> bool:
        """A message of newer code is set aside with what follows in its stream: no shard waits."""
        return False

    async def handle(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page, lease: timedelta
    ) -> Handled:
        """Returns once nothing of the page is missing; told to stop, it moves nothing."""
        left = self.wanted(page)
        while left := await self._missing(connection, left):
            if self.stop.is_set():
                return Handled(moved=list(group))
            await asyncio.sleep(_POLL)
        async with connection.transaction():
            moved = await self.move(connection, group, page, lease)
        return Handled(moved=list(moved))

    async def _missing(
        self, connection: Connection, wanted: Sequence[Received]
    ) -> Sequence[Received]:
        """Those that did not come yet; what is too late has been handled."""
        if not wanted:
            return ()
        cursor = await connection.execute(
            "SELECT g.id, g.recorded_at < clock_timestamp() - %(patience)s FROM unnest("
            " %(ids)s::text[], %(streams)s::text[], %(versions)s::bigint[],"
            " %(times)s::timestamptz[]) AS g (id, stream, version, recorded_at)"
            " WHERE NOT EXISTS (SELECT FROM inbox i"
            "  WHERE i.consumer = %(consumer)s AND i.id = g.id)"
            " AND NOT EXISTS (SELECT FROM parked_messages p WHERE p.consumer = %(consumer)s"
            "  AND p.stream = g.stream AND p.version = g.version)",
            {
                "consumer": self.consumer.name,
                "patience": self._patience,
                "ids": [one.id for one in wanted],
                "streams": [one.stream for one in wanted],
                "versions": [one.version for one in wanted],
                "times": [one.recorded_at for one in wanted],
            },
        )
        missing: dict[str, bool] = dict(await cursor.fetchall())
        late = [one for one in wanted if missing.get(one.id)]
        for received in late:
            await self.handle_or_park(connection, received)
        if late:
            self.late += len(late)
            _log.warning(
                "events that the broker did not bring were handled from the store",
                consumer=self.consumer.name,
                events=len(late),
                first=late[0].id,
            )
        return [one for one in wanted if missing.get(one.id) is False]
