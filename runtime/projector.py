"""The projector process: keeps the read models, and the partitioned tables in shape."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog

from eventstore.pool import Pool, open_pool
from projections.runner import Runner
from runtime.ready import ready
from runtime.settings import Settings

_log = structlog.get_logger(__name__)

_MAINTENANCE_SECONDS: Final = 60.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set, beside any number of others."""
    if settings.database_url is None:
        raise ValueError("a projector needs the URL of the database")
    async with open_pool(
        settings.database_url, role=settings.database_role or "", size=3, name="handrail-projector"
    ) as pool:
        runner = Runner(pool, poll=settings.projector_poll_ms / 1000)
        maintenance = asyncio.create_task(_maintain(pool, stop))
        announcement = asyncio.create_task(_announce(runner, settings))
        try:
            await runner.run(stop)
        finally:
            maintenance.cancel()
            announcement.cancel()
            await asyncio.gather(maintenance, announcement, return_exceptions=True)


async def _announce(runner: Runner, settings: Settings) -> None:
    await runner.reading.wait()
    ready(settings)


async def _maintain(pool: Pool, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with pool.connection() as connection:
                await connection.execute("SELECT maintain_partitions(1000000, interval '1 year')")
        except Exception as error:  # noqa: BLE001  # it is only for later: the next time may be better
            _log.warning("partitions not maintained", error=repr(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MAINTENANCE_SECONDS):
                await stop.wait()
