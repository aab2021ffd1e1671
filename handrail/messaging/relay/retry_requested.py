"""Publish what is parked at the relay where an operator requested it over HTTP."""

from __future__ import annotations

import contextlib

import structlog

from handrail.eventstore import retry_requests
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Pool
from handrail.eventstore.retry_requests import LOOKS
from handrail.messaging.relay.bound_forms import BoundForms
from handrail.messaging.relay.parked_messages import RELAY, names_at
from handrail.messaging.relay.publisher import NotPublished, Publisher
from handrail.messaging.relay.retry_parked import retry
from handrail.messaging.relay.routing import Routing

_log = structlog.get_logger(__name__)


async def retry_requested(
    pool: Pool, publisher: Publisher, routing: Routing, *, forms: BoundForms | None = None
) -> int:
    """Work off the requests, the oldest first; answers how many were settled.

    A request stays where the broker goes away. Raises NotPublished then.
    """
    async with pool.connection() as connection:
        requests = await retry_requests.unsettled(connection, [RELAY, *names_at(routing.exchanges)])
    for one in requests:
        exchange = one.subscriber.removeprefix(RELAY).removeprefix("/") or None
        done = await retry(pool, publisher, routing, exchange, one.stream or None, forms=forms)
        stopped_by = ""
        if done.stopped_by:
            first = done.stopped_by[0]
            still = len({stop.stream for stop in done.stopped_by})
            stopped_by = (
                f"streams that still wait: {still}; {first.stream} stopped at position"
                f" {first.position}: {first.cause}"
            )
        async with pool.connection() as connection:
            await retry_requests.settle(
                connection, one, handled=done.published, stopped_by=stopped_by
            )
        _log.info(
            "retry done as requested",
            subscriber=one.subscriber,
            stream=one.stream,
            actor=one.actor,
            published=done.published,
            stopped_by=stopped_by or None,
        )
    return len(requests)


async def keep_retrying_requested(
    pool: Pool, publisher: Publisher, routing: Routing, *, forms: BoundForms | None = None
) -> None:
    """Look every second: until it is cancelled."""

    async def look() -> None:
        with contextlib.suppress(NotPublished):  # the relay itself says that the broker is away
            await retry_requested(pool, publisher, routing, forms=forms)

    await run_periodically(look, LOOKS, _log, "requests to retry were not looked at")
