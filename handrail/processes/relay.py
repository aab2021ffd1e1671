"""The relay process, and what an operator does with what it could not publish."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Final, cast

import orjson
import structlog
from prometheus_client import Gauge
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from rich.console import Console

from handrail.background import background_tasks
from handrail.connections import store_pool
from handrail.counted import counted
from handrail.eventstore.pool import Pool
from handrail.eventstore.subscriptions.registration import forget, is_followed
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.load_app import the_app
from handrail.messaging.broker.address import certificates, tls_of_management
from handrail.messaging.broker.management_api import Management
from handrail.messaging.broker.plan import UNKNOWN
from handrail.messaging.broker.topology import RELAY as RELAY_USER
from handrail.messaging.relay.bound_forms import Bindings, BoundForms
from handrail.messaging.relay.parked_messages import (
    RELAY,
    ParkedStream,
    forget_parked,
    parked_streams,
)
from handrail.messaging.relay.publisher import Counted, NotPublished, Publisher
from handrail.messaging.relay.relay import Relay
from handrail.messaging.relay.republishing import ComesAgain, Republished, republished
from handrail.messaging.relay.retry_parked import retry
from handrail.messaging.relay.retry_readable import keep_retrying
from handrail.messaging.relay.retry_requested import keep_retrying_requested
from handrail.messaging.relay.routing import Routing
from handrail.messaging.relay.watch_bindings import watch_bindings
from handrail.processes.announced import announced, of_pool
from handrail.processes.enrollment import enrolled
from handrail.processes.process_metrics import Gauges, process_metrics
from handrail.readiness import ready_after
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal

_log = structlog.get_logger(__name__)

_WATCH_SECONDS: Final = 1.0
_SHOWN: Final = 100
"""How many streams `handrail relay parked` lists."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Publish until `stop` is set, beside any number of others."""
    app = the_app()
    routing = app.routing
    async with (
        _pool(settings, 5) as pool,
        announced(of_pool(pool), app.codec, settings, "relay", stop),
        _publisher(settings, routing) as publisher,
    ):
        await enrolled(pool, RELAY, "relay", stop)
        forms = BoundForms(app.codec, routing, Bindings(), publisher.counted)
        relay = Relay(publisher, routing, app.codec, forms=forms)
        follower = Subscriber(pool, relay, poll=settings.projector_poll_ms / 1000)
        gauges: Gauges = {
            "connected": ("1 where it is connected to the broker", lambda: publisher.is_connected),
            "events_read": ("Events read since it began", lambda: follower.events_read),
            "checkpoints_held": ("Shards that are its share", lambda: follower.checkpoints_held),
        }
        with process_metrics("relay", settings, gauges, _Counts(publisher.counted)) as registry:
            blocked = Gauge(
                "handrail_relay_blocked", "1 where the broker blocks it", registry=registry
            )
            async with background_tasks(
                follower.run(stop),
                ready_after(settings, follower.reading),
                watch_bindings(forms.bindings, _api(settings), pool, app.codec, routing),
                keep_retrying(pool, publisher, routing, app.codec, forms=forms),
                keep_retrying_requested(pool, publisher, routing, forms=forms),
                _watch(publisher, blocked),
            ) as [following, *_]:
                await stop.wait()
                # A broker that is blocked or gone answers nothing: what it has not confirmed by
                # then is published again by whoever goes on.
                await asyncio.wait({following}, timeout=settings.shutdown_seconds / 2)


async def show_parked(settings: Settings, *, json: bool, wide: bool = False) -> int:
    """0 where nothing waits, 1 where something waits for a person."""
    async with _pool(settings, 1) as pool, pool.connection() as connection:
        found = await parked_streams(connection, (*the_app().routing.exchanges, UNKNOWN))
    console = terminal(json=json, wide=wide)
    if found:
        table_of_parked(found[:_SHOWN]).print(console)
        if len(found) > _SHOWN:
            console.print(f"and {len(found) - _SHOWN} more streams")
        console.print("once that is mended: handrail relay retry [EXCHANGE] [STREAM]")
    else:
        console.print("nothing waits at the relay")
    if json:
        figures = {
            "parked": [
                {
                    "exchange": one.exchange,
                    "stream": one.stream,
                    "events": one.events,
                    "since": one.since,
                    "cause": one.cause,
                }
                for one in found
            ]
        }
        print(orjson.dumps(figures).decode())
    return 1 if found else 0


async def work_off(settings: Settings, exchange: str | None, stream: str | None) -> int:
    """0 where nothing of what was asked for is left waiting."""
    console, app, routing = terminal(json=True), the_app(), the_app().routing
    async with _pool(settings, 8) as pool, _publisher(settings, routing) as publisher:
        forms = BoundForms(app.codec, routing, Bindings(), publisher.counted)
        try:
            done = await retry(pool, publisher, routing, exchange, stream, forms=forms)
        except NotPublished as error:
            console.print(
                f"{counted(publisher.counted.confirmed, 'message')} published, then: {error}"
            )
            return 1
    console.print(f"{counted(done.published, 'message')} published")
    for one in done.stopped_by:
        console.print(f"{one.stream} stopped at position {one.position}: {one.cause}")
    return 1 if done.stopped_by else 0


async def forget_relay(
    settings: Settings, *, yes: bool = True, json: bool = False, wide: bool = False
) -> int:
    """0 once nothing is kept for a relay; 1 where it was only said what comes again by that."""
    console, app = terminal(json=True, wide=wide), the_app()
    async with _pool(settings, 1) as pool, pool.connection() as connection:
        if await is_followed(connection, RELAY):
            console.print("a relay is running: stop it first")
            return 1
        again = await republished(connection, app.consumers)
        _say(console, again)
        if yes:
            async with connection.transaction():
                if not await forget(connection, RELAY):
                    console.print("a relay has begun meanwhile, and nothing was forgotten: stop it")
                    return 1
                count = await forget_parked(connection, app.routing.exchanges)
            console.print(f"the relay is forgotten, and {count} events that waited at it")
        else:
            console.print("Nothing was forgotten. With --yes it is.")
    if json:
        print(orjson.dumps({**asdict(again), "forgotten": yes}).decode())
    return 0 if yes else 1


def _say(console: Console, again: Republished) -> None:
    since = f", the first of {again.since:%F %T}" if again.since else ""
    console.print(
        f"The next relay publishes {again.events} events again{since}."
        f" {again.waiting} of them wait at the relay and were not published yet.",
        highlight=False,
    )
    table_of_repeated(again.consumers).print(console)
    console.print(
        "Other services get them again, too: under the same ce-id, by which they can tell."
    )


def table_of_parked(found: Sequence[ParkedStream]) -> Table:
    table = Table(
        (
            Column("exchange"),
            Column("stream"),
            Column("events", rank=1, right=True),
            Column("since", rank=2),
            Column("cause", kind="text"),
        )
    )
    for one in found:
        table.add(one.exchange, one.stream, str(one.events), f"{one.since:%F %T}", one.cause)
    return table


def table_of_repeated(consumers: Sequence[ComesAgain]) -> Table:
    """What the next relay publishes once more."""
    table = Table(
        (
            Column("consumer"),
            Column("gets", right=True),
            Column("without effect: it knows them", right=True),
            Column("has yet to handle", right=True),
        )
    )
    for one in consumers:
        table.add(one.consumer, str(one.wanted), str(one.known), str(one.handled))
    return table


def _pool(settings: Settings, size: int) -> contextlib.AbstractAsyncContextManager[Pool]:
    return store_pool(settings, size=size, name="handrail-relay")


def _publisher(settings: Settings, routing: Routing) -> Publisher:
    """Raises NoBroker."""
    return Publisher(
        lambda: cast("str", settings.broker_url_of(RELAY_USER)),
        routing.broker.home,
        certificates=certificates(settings),
    )


def _api(settings: Settings) -> Callable[[], Management] | None:
    """The management API, with the login as of now."""
    if settings.broker_bindings_url is None:
        return None
    verify = tls_of_management(settings)
    return lambda: Management(cast("str", settings.current("broker_bindings_url")), verify=verify)


async def _watch(publisher: Publisher, blocked: Gauge) -> None:
    """A blocked connection is a broker that lacks memory or disk space: nothing is lost, but
    nothing moves until somebody gives it some.
    """
    was = False
    while True:
        now = await publisher.blocked()
        blocked.set(int(now))
        if now != was:
            _log.warning("the broker takes nothing for now" if now else "the broker takes on again")
        was = now
        await asyncio.sleep(_WATCH_SECONDS)


class _Counts(Collector):
    """What the publisher counts, as Prometheus reads it."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        for name, meaning, value in (
            ("published", "Messages sent to the broker.", self._counted.published),
            ("confirmed", "Messages the broker has confirmed.", self._counted.confirmed),
            ("returned", "Messages no queue would have got.", self._counted.returned),
            ("parked", "Events parked for an exchange.", self._counted.parked),
            (
                "unconverted",
                "Events not published in a form that a queue is bound to.",
                self._counted.unconverted,
            ),
            ("reconnects", "Connections after the first.", max(self._counted.connected - 1, 0)),
        ):
            yield CounterMetricFamily(f"handrail_relay_{name}", meaning, value)
