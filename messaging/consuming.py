"""Take messages from a queue of the broker, and give each to its consumer.

A message is acknowledged once what it did is in the database. One that is no event goes to the
dead letters; one that cannot be handled is parked with the later ones of its stream; and while the
database is away all of them stay where they are: they are held, neither acknowledged nor given
back, so that no outage counts as a failed delivery of theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelNotFoundEntity

from eventstore.pool import Pool
from messaging.cloud_events import NotAnEvent, received
from messaging.consumer import Consumer
from messaging.envelope import Received
from messaging.failures import cause_of
from messaging.trying import Answer, Counted, Trying, wait

_log = structlog.get_logger(__name__)

_FIRST_REST: Final = 0.1
_LONGEST_REST: Final = 2.0
_WATCH: Final = 3.0
"""Seconds between two looks at whether the broker still knows us."""
_DRAIN: Final = 5.0
"""Seconds that what was begun may take when a subscription is over."""


class Unsubscribed(Exception):
    """The broker sends nothing any more."""


class Consuming:
    """`prefetch` bounds the messages that the broker sends before earlier ones are done."""

    def __init__(
        self, pool: Pool, consumer: Consumer, url: str, *, prefetch: int = 100, **trying: Any
    ) -> None:
        self._pool = pool
        self._consumer = consumer
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
                await wait(stop, rest)
                rest = min(2 * rest, _LONGEST_REST)

    async def _database_answers(self) -> None:
        """Without it messages would only be taken to be held."""
        async with self._pool.connection() as connection:
            await connection.execute("SELECT 1")

    async def _subscribe(self, stop: asyncio.Event) -> None:
        """Raises Unsubscribed, or the error of a broker that is gone; returns when stopped."""
        async with await aio_pika.connect(self._url, timeout=5) as connection:
            channel = await connection.channel(publisher_confirms=False)
            await channel.set_qos(prefetch_count=self._prefetch)
            queue = await channel.get_queue(self._consumer.queue, ensure=True)
            watching = await connection.channel(publisher_confirms=False)
            subscription = Subscription(self._trying, await _cancelled(channel))
            self._subscription = subscription
            tag = await queue.consume(subscription.take)
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
        else:
            _log.warning("not subscribed", **where, error=cause_of(error), seconds=rest)


class Subscription:
    """The messages of one channel: those of a stream one after the other, of others beside them."""

    def __init__(self, trying: Trying, lost: asyncio.Event) -> None:
        self._trying = trying
        self._over = asyncio.Event()
        self._newest: dict[str, asyncio.Task[None]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self.lost = lost
        self.why = ""

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Called in the order of the queue: up to its first await it keeps that order."""
        try:
            one = received(message.headers, message.body)
        except NotAnEvent as error:
            _log.error("no event: among the dead letters", cause=cause_of(error))
            await self._reject(message)
            return
        before = self._newest.get(one.stream)
        task = asyncio.create_task(self._in_turn(before, message, one))
        self._newest[one.stream] = task
        self._under_way.add(task)
        task.add_done_callback(lambda done: self._forget(one.stream, done))

    @property
    def in_flight(self) -> int:
        return len(self._under_way)

    async def end(self) -> None:
        """What has begun is finished, the rest is left to whoever subscribes next."""
        self._over.set()
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=_DRAIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def abandon(self) -> None:
        """Nothing is finished."""
        for task in self._under_way:
            task.cancel()

    async def _in_turn(
        self,
        before: asyncio.Task[None] | None,
        message: AbstractIncomingMessage,
        one: Received,
    ) -> None:
        if before:
            await asyncio.wait({before})
        try:
            match await self._trying.handle(one, self._over):
                case Answer.DONE:
                    with contextlib.suppress(*CONNECTION_EXCEPTIONS):  # it will come again
                        await message.ack()
                case Answer.UNKEEPABLE:
                    await self._reject(message)
                case Answer.NOTHING:
                    pass
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not end in silence
            self.why = cause_of(error)
            self._over.set()
            self.lost.set()

    async def _reject(self, message: AbstractIncomingMessage) -> None:
        """`reject`, because newer brokers do not count a `nack` as a delivery that failed."""
        self._trying.counted.rejected += 1
        with contextlib.suppress(*CONNECTION_EXCEPTIONS):
            await message.reject(requeue=False)

    def _forget(self, stream: str, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._newest.get(stream) is task:
            del self._newest[stream]


async def _cancelled(channel: AbstractChannel) -> asyncio.Event:
    """Set when the broker cancels our consumer, as it does where the queue was deleted."""
    cancelled = asyncio.Event()
    underlay = await channel.get_underlay_channel()
    underlay.on_consumer_cancel_callbacks.add(lambda _: cancelled.set())
    return cancelled
