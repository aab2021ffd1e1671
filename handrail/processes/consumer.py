"""The process of one consumer: from its queue where there is a broker, else from the store."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from handrail.background import background_tasks
from handrail.catalogue import UnknownConsumer
from handrail.connections import store_pool
from handrail.eventstore.codec import Codec
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Pool
from handrail.load_app import the_app
from handrail.messaging.broker.address import address_of
from handrail.messaging.consumers import store_consumer
from handrail.messaging.consumers.catch_up import Settling
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.prune_inbox import prune, prune_settled
from handrail.messaging.consumers.retry_readable import keep_retrying
from handrail.messaging.consumers.store_consumer import Feeding, NewerCodeNeeded
from handrail.optional_deps import require_extra
from handrail.processes.announced import announced, of_pool
from handrail.processes.process_metrics import Gauges, process_metrics
from handrail.readiness import not_ready, ready, ready_after
from handrail.refused_settings import BAD_SETTINGS
from handrail.settings import Settings
from handrail.terminal_tables import terminal

if TYPE_CHECKING:
    from handrail.messaging.consumers.delivery import Counted
    from handrail.messaging.consumers.queue_consumer import Consuming

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 8
"""Messages handled at one moment."""
_MAINTENANCE_SECONDS: Final = 600.0


def known(name: str) -> Consumer:
    """Ends the process where there is none of this name."""
    try:
        return the_app().consumer(name)
    except UnknownConsumer as unknown:
        print(unknown, file=sys.stderr)
        raise SystemExit(BAD_SETTINGS) from None


async def run(settings: Settings, consumer: Consumer, stop: asyncio.Event) -> None:
    """Work until `stop` is set, beside any number of others."""
    codec = the_app().codec
    kind = f"consumer:{consumer.name}"
    async with (
        _pool(settings) as pool,
        announced(of_pool(pool), codec, settings, kind, stop),
        background_tasks(_prune(pool, consumer), keep_retrying(pool, consumer, codec)),
    ):
        if settings.broker_url is None:
            await _from_the_store(settings, pool, consumer, codec, stop)
        else:
            await _from_the_broker(settings, pool, consumer, codec, stop)


async def catch_up(settings: Settings, consumer: Consumer) -> int:
    """0 once it has handled or parked all that the store has by now; 1 where events wait for newer
    code.
    """
    async with _pool(settings) as pool:
        try:
            events = await store_consumer.catch_up(pool, consumer, the_app().codec)
        except NewerCodeNeeded as needed:
            terminal(json=True).print(str(needed), highlight=False)
            return 1
    terminal(json=True).print(f"{consumer.name} has everything: {events} events were read for it")
    return 0


async def _from_the_store(
    settings: Settings, pool: Pool, consumer: Consumer, codec: Codec, stop: asyncio.Event
) -> None:
    process = Feeding(pool, consumer, codec, poll=settings.projector_poll_ms / 1000)
    gauges: Gauges = {
        "events_read": ("Events read since it began", lambda: process.events_read),
        "checkpoints_held": ("Shards that are its share", lambda: process.checkpoints_held),
    }
    async with background_tasks(ready_after(settings, process.reading)):
        with process_metrics("consumer", settings, gauges):
            await process.run(stop)


async def _from_the_broker(
    settings: Settings, pool: Pool, consumer: Consumer, codec: Codec, stop: asyncio.Event
) -> None:
    """A new consumer gets everything from the store first; its queue has been there meanwhile."""
    require_extra("broker", "aio_pika", "cloudevents")
    from handrail.messaging.consumers.queue_consumer import Consuming  # noqa: PLC0415  # it needs the extra

    process = Consuming(
        pool,
        consumer,
        codec,
        lambda: address_of(settings, consumer.vhost, consumer.vhost),
        at_once=_AT_ONCE,
    )
    settling = Settling(pool, consumer, codec, patience=settings.consumer_patience_seconds)
    gauges: Gauges = {
        "subscribed": ("1 where the broker sends messages", process.subscribed.is_set),
        "holding": ("1 where messages wait for the database", lambda: process.holding),
        "late": ("Events the broker did not bring in time", lambda: settling.late),
        "in_flight": ("Messages that are not acknowledged yet", lambda: process.in_flight),
    }
    with process_metrics("consumer", settings, gauges, _Counts(process.counted)):
        if not await _begun(pool, consumer, codec, stop):
            return
        async with (
            background_tasks(_tell_readiness(process, settings)),
            asyncio.TaskGroup() as both,
        ):
            both.create_task(process.run(stop))
            both.create_task(settling.run(stop))


async def _begun(pool: Pool, consumer: Consumer, codec: Codec, stop: asyncio.Event) -> bool:
    """Whether it has what was stored before it was there; not, where it is told to stop before."""
    work = asyncio.ensure_future(store_consumer.begin(pool, consumer, codec))
    asked = asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if work.done():
        work.result()
        return True
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return False


async def _tell_readiness(process: Consuming, settings: Settings) -> None:
    """Ready as long as it is subscribed, so that others see when it is not."""
    while True:
        await process.subscribed.wait()
        ready(settings)
        await process.unsubscribed.wait()
        not_ready(settings)


@asynccontextmanager
async def _pool(settings: Settings) -> AsyncIterator[Pool]:
    async with store_pool(settings, size=_AT_ONCE + 3, name="handrail-consumer") as pool:
        yield pool


async def _prune(pool: Pool, consumer: Consumer) -> None:
    seen = ""

    async def pruned() -> None:
        nonlocal seen
        async with pool.connection() as connection:
            if seen:
                await prune(connection, consumer, seen)
            await prune_settled(connection, consumer)
            seen = await store_consumer.snapshot(connection)

    await run_periodically(pruned, _MAINTENANCE_SECONDS, _log, "inbox not pruned")


class _Counts(Collector):
    """What became of the messages, as Prometheus reads it."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "handrail_consumer_messages", "What became of messages.", labels=["outcome"]
        )
        for field in fields(self._counted):
            family.add_metric([field.name], getattr(self._counted, field.name))
        yield family
