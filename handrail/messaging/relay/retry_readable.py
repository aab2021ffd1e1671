"""Publish by itself what was parked at the relay because its code did not know the event."""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog

from handrail.eventstore.codec import Codec
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Pool
from handrail.eventstore.unread_forms import is_readable_now
from handrail.messaging.broker.plan import UNKNOWN
from handrail.messaging.relay.bound_forms import BoundForms
from handrail.messaging.relay.parked_messages import parked_streams
from handrail.messaging.relay.publisher import Publisher
from handrail.messaging.relay.retry_parked import retry
from handrail.messaging.relay.routing import Routing

_log = structlog.get_logger(__name__)

LOOKS: Final = 60.0
"""Seconds between two looks: relays that wait for newer code park nothing of it."""


async def retry_readable(
    pool: Pool,
    publisher: Publisher,
    routing: Routing,
    codec: Codec,
    *,
    forms: BoundForms | None = None,
) -> int:
    """Each stream in order; answers how many messages were published. Raises NotPublished."""
    async with pool.connection() as connection:
        found = await parked_streams(connection, [UNKNOWN])
    published = 0
    for one in found:
        if is_readable_now(one.cause, codec):
            done = await retry(pool, publisher, routing, UNKNOWN, one.stream, forms=forms)
            published += done.published
            _log.info("stream goes on with newer code", stream=one.stream, published=done.published)
    return published


async def keep_retrying(
    pool: Pool,
    publisher: Publisher,
    routing: Routing,
    codec: Codec,
    *,
    forms: BoundForms | None = None,
) -> None:
    """Look at once, and then now and again: until it is cancelled."""
    look = partial(retry_readable, pool, publisher, routing, codec, forms=forms)
    await run_periodically(look, LOOKS, _log, "what was parked as unknown was not looked at")
