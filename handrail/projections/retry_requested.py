"""Retry what is parked at read models where an operator requested it over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog

from handrail.eventstore import retry_requests
from handrail.eventstore.codec import Codec
from handrail.eventstore.identity import refused_in
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Pool
from handrail.eventstore.retry_requests import LOOKS, RetryRequest
from handrail.eventstore.tokens import UnknownProjection
from handrail.projections.projection import Projection
from handrail.projections.retry_parked import Retried, retry
from handrail.projections.retry_readable import all_parked

_log = structlog.get_logger(__name__)

Projections = Sequence[Projection[Any]]
_EVERY_ROW: Final = ""


async def retry_requested(pool: Pool, projections: Projections, codec: Codec) -> int:
    """Work off the requests, the oldest first; answers how many were settled.

    Read models of another version are left to processes of that version.
    """
    async with pool.connection() as connection:
        requests = await retry_requests.unsettled(connection, [one.name for one in projections])
    settled = 0
    for one in requests:
        try:
            handled, stopped_by = await _work_off(pool, one, projections, codec)
            async with pool.connection() as connection:
                await retry_requests.settle(connection, one, handled=handled, stopped_by=stopped_by)
        except UnknownProjection:
            continue
        except Exception as error:  # noqa: BLE001  # the others need not wait for this one
            if not refused_in(error):
                _log.warning(
                    "retry not done yet",
                    projection=one.subscriber,
                    stream=one.stream,
                    error=repr(error),
                )
            continue
        settled += 1
        _log.info(
            "retry done as requested",
            projection=one.subscriber,
            stream=one.stream,
            actor=one.actor,
            applied=handled,
            stopped_by=stopped_by or None,
        )
    return settled


async def keep_retrying(pool: Pool, projections: Projections, codec: Codec) -> None:
    """Look every second: until it is cancelled."""
    look = partial(retry_requested, pool, projections, codec)
    await run_periodically(look, LOOKS, _log, "requests to retry were not looked at")


async def _work_off(
    pool: Pool, one: RetryRequest, projections: Projections, codec: Codec
) -> tuple[int, str]:
    """How many events were applied, and what stopped it."""
    if one.stream != _EVERY_ROW:
        done = await retry(pool, one.subscriber, one.stream, projections, codec)
        return done.applied, _said(done)
    async with pool.connection() as connection:
        rows = await all_parked(connection, [one.subscriber])
    finished = [await retry(pool, name, stream, projections, codec) for name, stream in rows]
    stopped = [_said(done) for done in finished if done.stopped_by]
    said = f"rows that still wait: {len(stopped)}; {stopped[0]}" if stopped else ""
    return sum(done.applied for done in finished), said


def _said(done: Retried) -> str:
    stop = done.stopped_by
    return f"{stop.stream} stopped at position {stop.position}: {stop.cause}" if stop else ""
