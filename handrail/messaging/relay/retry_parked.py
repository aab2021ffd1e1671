"""Publish what waits at the relay, once its exchange leads somewhere again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from handrail.eventstore.codec import UnknownMessage
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import Recorded
from handrail.messaging.broker.plan import UNKNOWN
from handrail.messaging.cloud_events import Unpublishable
from handrail.messaging.relay import parked_messages
from handrail.messaging.relay.bound_forms import BoundForms
from handrail.messaging.relay.parked_messages import BEHIND, Parked, Waiting
from handrail.messaging.relay.publisher import Message, NotPublished, Publisher
from handrail.messaging.relay.routing import Routing

_CHUNK: Final = 500
_AT_ONCE: Final = 8


@dataclass(frozen=True)
class Retried:
    """`published` counts messages, `stopped_by` tells what still cannot be published."""

    published: int
    stopped_by: Sequence[Parked]


async def retry(
    pool: Pool,
    publisher: Publisher,
    routing: Routing,
    exchange: str | None = None,
    stream: str | None = None,
    *,
    forms: BoundForms | None = None,
) -> Retried:
    """Work off all that waits, or that of one exchange, or of one stream: each stream in order.

    What waits for an exchange nobody could tell is tried with all else of its stream. Raises
    NotPublished where the broker goes away; what was published by then waits no longer.
    """
    everywhere = {*routing.exchanges, UNKNOWN}
    async with pool.connection() as connection:
        looked_at = {exchange} if exchange else everywhere
        found = await parked_messages.parked_streams(connection, looked_at, stream)
    exchanges = {exchange} if exchange and exchange != UNKNOWN else everywhere
    streams = iter(sorted({one.stream for one in found}))
    done: list[_Stream] = []

    async def work() -> None:
        for name in streams:
            done.append(_Stream(publisher, routing, name, set(exchanges), forms))
            await done[-1].work_off(pool)

    working = [asyncio.create_task(work()) for _ in range(_AT_ONCE)]
    try:
        await asyncio.gather(*working)
    finally:
        for one in working:
            one.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    return Retried(
        sum(one.published for one in done), [stop for one in done for stop in one.stopped_by]
    )


class _Stream:
    """What waits of one stream, in order, as far as each exchange takes it.

    `exchanges` are those that are tried; one that returns an event is not tried again.
    """

    def __init__(
        self,
        publisher: Publisher,
        routing: Routing,
        name: str,
        exchanges: set[str],
        forms: BoundForms | None,
    ) -> None:
        self.published = 0
        self.stopped_by: list[Parked] = []
        self._publisher = publisher
        self._routing = routing
        self._name = name
        self._open = exchanges
        self._forms = forms

    async def work_off(self, pool: Pool) -> None:
        """The relay waits with new events of the stream while a chunk is worked off."""
        while self._open:
            gone: NotPublished | None = None
            async with pool.connection() as connection, connection.transaction():
                waiting = await parked_messages.waiting(connection, self._name, self._open, _CHUNK)
                try:
                    for one in waiting:
                        if one.exchange in self._open:
                            await self._publish(connection, one)
                except NotPublished as error:
                    gone = error  # what was published before it waits no longer
            if gone:
                raise gone
            if not waiting:
                return

    async def _publish(self, connection: Connection, waiting: Waiting) -> None:
        event = waiting.recorded
        try:
            known = waiting.exchange != UNKNOWN
            exchanges = (waiting.exchange,) if known else self._routing.exchanges_of(event.type)
            message = Message.of(event, self._routing)
        except (UnknownMessage, Unpublishable) as error:
            self._stop(waiting.exchange, event, str(error))
            await parked_messages.keep(connection, self.stopped_by[-1:])
            if waiting.exchange == UNKNOWN:
                self._open.clear()  # all that comes later waits behind it, whatever its exchange
            return
        still_parked: list[Parked] = []
        for exchange in exchanges:
            if exchange not in self._open:
                still_parked.append(Parked(event.stream, event.position, BEHIND, exchange))
            elif cause := await self._publisher.publish(exchange, message):
                self._stop(exchange, event, cause)
                still_parked += self.stopped_by[-1:]
            else:
                self.published += 1
                for copy in self._forms.copies(exchange, event) if self._forms else ():
                    await self._publisher.publish(exchange, copy)
        await parked_messages.keep(connection, still_parked)
        if all(one.exchange != waiting.exchange for one in still_parked):
            await parked_messages.free(connection, waiting.exchange, event.stream, event.position)

    def _stop(self, exchange: str, event: Recorded, cause: str) -> None:
        self._open.discard(exchange)
        self.stopped_by.append(Parked(event.stream, event.position, cause, exchange))
