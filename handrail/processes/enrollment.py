"""Enrollment of a process that follows the feed, waiting for the database where it is away."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from handrail.background import wait_at_most
from handrail.eventstore.identity import refused_in
from handrail.eventstore.pool import Pool
from handrail.eventstore.subscriptions.registration import enroll

_PAUSE: Final = 1.0
_log = structlog.get_logger(__name__)


async def enrolled(pool: Pool, follower: str, process: str, stop: asyncio.Event) -> None:
    """From now on the outbox keeps what the follower has not seen; unless `stop` is set before."""
    while not stop.is_set():
        try:
            async with pool.connection() as connection:
                await enroll(connection, follower)
        except Exception as error:  # noqa: BLE001  # the database may come back
            if not refused_in(error):
                _log.warning(f"{process} cannot begin yet", error=repr(error))
            await wait_at_most(stop, _PAUSE)
        else:
            return
