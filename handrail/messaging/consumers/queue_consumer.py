"""Take messages from a queue of the broker, and give each to its consumer.

A message is acknowledged once what it did is in the database. One that is no event goes to the
dead letters; one that cannot be handled is parked with the later ones of its stream; and while the
database is away all of them stay where they are: they are held, neither acknowledged nor given
back, so that no outage counts as a failed delivery of theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelNotFoundEntity

from handrail.background import wait_at_most
from handrail.eventstore.codec import Codec
from handrail.eventstore.identity import refused_in
from handrail.eventstore.pool import Pool
from handrail.messaging.cloud_events import NotAnEvent, received
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.delivery import Answer, Counted, Trying
from handrail.messaging.consumers.failure_kind import cause_of
from handrail.messaging.envelope import Received
from handrail.tracing import spans

_log = structlog.get_logger(__name__)

_FIRST_REST: Final = 0.1
_LONGEST_REST: Final = 2.0
_WATCH: Final = 3.0
"""Seconds between two looks at whether the broker still knows us."""
_ANSWERS: Final = 10.0
"""Seconds within which a broker has to say whether we may have messages."""
_TOGETHER: Final = 50
"""Messages that are handled in one transaction at most."""
_DRAIN: Final = 5.0
"""Seconds that what was begun may take when a subscription is over."""


class Unsubscribed(Exception):
    """The broker sends nothing any more."""


class Consuming:
    """`prefetch` bounds the messages that the broker sends before earlier ones are done."""

    def __init__(
        self,
        pool: Pool,
        consumer: Consumer,
        codec: Codec,
        url: str | Callable[[], str],
        *,
        prefetch: int = 100,
        **trying: Any,
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._codec = codec
        self._url = url
        self._prefetch = prefetch
        self._trying = Trying(pool, consumer, **trying)
        self.subscribed = asyncio.Event()
        """Set while the broker sends messages, or would if they did not go to another process."""
        self.unsubscribed = asyncio.Event()
        self.unsubscribed.set()
        self._subscription: Subscription | None = None

    @property
    def counted(self) -> Counted:
        return self._trying.counted

    @property
    def in_flight(self) -> int:
        """Messages that the broker has sent and that are not acknowledged yet."""
        return self._subscription.in_flight if self._subscription else 0

    @property
    def holding(self) -> bool:
        """Whether messages wait for the database."""
        return self._trying.holding

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Trouble with broker and database is waited out."""
        rest = _FIRST_REST
        while not stop.is_set():
            before = self.counted.subscriptions
            try:
                await self._database_answers()
                await self._subscribe(stop)
            except Exception as error:  # noqa: BLE001  # a consumer that ends helps nobody
                rest = _FIRST_REST if self.counted.subscriptions > before else rest
                self._explain(error, rest)
                await wait_at_most(stop, rest)
                rest = min(2 * rest, _LONGEST_REST)

    def _address(self) -> str:
        return self._url() if callable(self._url) else self._url

    async def _database_answers(self) -> None:
        """Without it messages would only be taken to be held."""
        async with self._pool.connection() as connection:
            await connection.execute("SELECT 1")

    async def _subscribe(self, stop: asyncio.Event) -> None:
        """Raises Unsubscribed, or the error of a broker that is gone; returns when stopped."""
        async with await aio_pika.connect(self._address(), timeout=5) as connection:
            channel = await connection.channel(publisher_confirms=False)
            subscription = Subscription(self._trying, self._codec, await _cancelled(channel))
            try:
                # Of a queue that has lost its leader a broker says nothing, however long one waits.
                async with asyncio.timeout(_ANSWERS):
                    await channel.set_qos(prefetch_count=self._prefetch)
                    queue = await channel.get_queue(self._consumer.queue, ensure=True)
                    watching = await connection.channel(publisher_confirms=False)
                    tag = await queue.consume(subscription.take)
            except BaseException:
                subscription.abandon()
                raise
            self._subscription = subscription
            self.subscribed.set()
            self.unsubscribed.clear()
            self.counted.subscriptions += 1
            _log.info("subscribed", consumer=self._consumer.name, queue=self._consumer.queue)
            ended = [
                asyncio.ensure_future(one)
                for one in (
                    stop.wait(),
                    subscription.lost.wait(),
                    channel.closed(),
                    self._watch(watching),
                )
            ]
            try:
                await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                subscription.abandon()
                raise
            finally:
                self.subscribed.clear()
                self.unsubscribed.set()
                for one in ended:
                    one.cancel()
                await asyncio.gather(*ended, return_exceptions=True)
                with contextlib.suppress(*CONNECTION_EXCEPTIONS):
                    await queue.cancel(tag, timeout=_DRAIN)
                await subscription.end()
                self._subscription = None
            if not stop.is_set():
                raise Unsubscribed(subscription.why or "the broker closed the channel")

    async def _watch(self, channel: AbstractChannel) -> None:
        """Returns once the queue is gone, or has no consumer: somebody must have cancelled ours."""
        while True:
            await asyncio.sleep(_WATCH)
            queue = await channel.declare_queue(self._consumer.queue, passive=True)
            if not queue.declaration_result.consumer_count:
                return

    def _explain(self, error: Exception, rest: float) -> None:
        where = {"consumer": self._consumer.name, "queue": self._consumer.queue}
        if isinstance(error, ChannelNotFoundEntity):
            remedy = "handrail topology apply declares it"
            _log.warning("there is no such queue", **where, remedy=remedy, seconds=rest)
        elif not refused_in(error):  # which the pool says, once
            _log.warning("not subscribed", **where, error=cause_of(error), seconds=rest)


class Subscription:
    """The messages of one channel.

    Those that have come are handled together, in one transaction. Where that fails each is handled
    alone: those of a stream one after the other, of others beside them, so that a stream that is in
    trouble holds up no other. What comes for such a stream is put behind.
    """

    def __init__(self, trying: Trying, codec: Codec, lost: asyncio.Event) -> None:
        self._trying = trying
        self._codec = codec
        self._over = asyncio.Event()
        self._came: deque[_Delivery] = deque()
        self._more = asyncio.Event()
        self._newest: dict[str, asyncio.Task[None]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._begin(self._handle_all())
        self.lost = lost
        self.why = ""
        self._unsettled: dict[int, None] = {}
        """The delivery tags of which the broker was told nothing yet, in their order."""

    @property
    def in_flight(self) -> int:
        return len(self._unsettled)

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Called in the order of the queue: up to its first await it keeps that order."""
        self._unsettled[_tag(message)] = None
        try:
            one = received(message.headers, message.body, self._codec)
        except NotAnEvent as error:
            _log.error("no event: among the dead letters", cause=cause_of(error))
            await self._reject(message)
            return
        self._came.append(_Delivery(message, one))
        self._more.set()

    async def end(self) -> None:
        """What has begun is finished, the rest is left to whoever subscribes next."""
        self._over.set()
        self._more.set()
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=_DRAIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def abandon(self) -> None:
        """Nothing is finished."""
        for task in self._under_way:
            task.cancel()

    async def _handle_all(self) -> None:
        while not self._over.is_set():
            await self._more.wait()
            self._more.clear()
            while self._came and not self._over.is_set():
                together = self._next()
                if not together:
                    continue
                if await self._trying.handle_together([one.received for one in together]):
                    await self._acknowledge(together)
                else:
                    for one in together:
                        self._alone(one)

    def _next(self) -> list[_Delivery]:
        """What may be handled together, of what has come."""
        found: list[_Delivery] = []
        while self._came and len(found) < _TOGETHER:
            one = self._came.popleft()
            if one.received.stream in self._newest:
                self._alone(one)
            else:
                found.append(one)
        return found

    def _alone(self, one: _Delivery) -> None:
        """Behind what there is of its stream."""
        stream = one.received.stream
        task = self._begin(self._in_turn(self._newest.get(stream), one))
        self._newest[stream] = task

        def forget(done: asyncio.Task[None]) -> None:
            if self._newest.get(stream) is done:
                del self._newest[stream]

        task.add_done_callback(forget)

    async def _in_turn(self, before: asyncio.Task[None] | None, one: _Delivery) -> None:
        if before:
            await asyncio.wait({before})
        match await self._trying.handle(one.received, self._over):
            case Answer.DONE:
                await self._acknowledge([one])
            case Answer.UNKEEPABLE:
                await self._reject(one.message)
            case Answer.NOTHING:
                pass

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whatever went wrong, it must not end in silence."""
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.why = cause_of(error)
            self._over.set()
            self.lost.set()

    async def _acknowledge(self, done: Sequence[_Delivery]) -> None:
        """In one frame, unless something that came before the last of them is not settled."""
        for one in done:
            del self._unsettled[_tag(one.message)]
            spans.consumed(self._trying.consumer, one.received.metadata, one.received.id, one.came)
        last = done[-1].message
        with contextlib.suppress(*CONNECTION_EXCEPTIONS):  # they will come again
            if next(iter(self._unsettled), math.inf) > _tag(last):
                await last.ack(multiple=True)
            else:
                for one in done:
                    await one.message.ack()

    async def _reject(self, message: AbstractIncomingMessage) -> None:
        """`reject`, because newer brokers do not count a `nack` as a delivery that failed."""
        self._trying.counted.rejected += 1
        with contextlib.suppress(*CONNECTION_EXCEPTIONS):
            await message.reject(requeue=False)
        del self._unsettled[_tag(message)]


@dataclass(frozen=True)
class _Delivery:
    message: AbstractIncomingMessage
    received: Received
    came: int = field(default_factory=time.time_ns)
    """In nanoseconds of the clock."""


def _tag(message: AbstractIncomingMessage) -> int:
    assert message.delivery_tag is not None
    return message.delivery_tag


async def _cancelled(channel: AbstractChannel) -> asyncio.Event:
    """Set when the broker cancels our consumer, as it does where the queue was deleted."""
    cancelled = asyncio.Event()
    underlay = await channel.get_underlay_channel()
    underlay.on_consumer_cancel_callbacks.add(lambda _: cancelled.set())
    return cancelled
