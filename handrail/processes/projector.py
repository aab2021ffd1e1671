"""The projector process: keeps the read models, and the partitioned tables in shape."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from handrail.app import App
from handrail.connections import store_pool
from handrail.eventstore import retry_requests
from handrail.eventstore.identity import refused_in
from handrail.eventstore.pool import Pool
from handrail.eventstore.prune_tables import prune
from handrail.load_app import the_app
from handrail.metrics_server import served
from handrail.processes.announced import announced, of_pool
from handrail.projections import kept_totals
from handrail.projections.moments import KEPT_EVERY
from handrail.projections.projector import Runner
from handrail.projections.retry_readable import retry_readable
from handrail.projections.retry_requested import keep_retrying
from handrail.readiness import ready
from handrail.settings import Settings

_log = structlog.get_logger(__name__)

_HISTORY_PAGE: Final = 5000
"""Events of a page in a rebuild: a row that many of them change is then written once. Everything
else of this process waits meanwhile, for some tenths of a second.
"""
_MAINTENANCE_SECONDS: Final = 60.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set, beside any number of others."""
    if settings.database_url is None:
        raise ValueError("a projector needs the URL of the database")
    app = the_app()
    async with (
        store_pool(settings, size=4, name="handrail-projector") as pool,
        announced(of_pool(pool), app.codec, settings, "projector", stop),
    ):
        runner = Runner(
            pool,
            app.read_models,
            app.codec,
            poll=settings.projector_poll_ms / 1000,
            history_page=_HISTORY_PAGE,
        )
        maintenance = asyncio.gather(
            _maintain(pool, stop),
            _retry(pool, app, stop),
            keep_retrying(pool, app.read_models, app.codec),
        )
        moments = asyncio.create_task(_keep_moments(pool, app, stop))
        announcement = asyncio.create_task(_announce(runner, settings))
        try:
            with _metrics(runner, settings):
                await runner.run(stop)
        finally:
            beside = (maintenance, moments, announcement)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


@contextlib.contextmanager
def _metrics(runner: Runner, settings: Settings) -> Iterator[None]:
    """Serve this process's own figures to Prometheus; how far behind it is, the API tells."""
    registry = CollectorRegistry()
    for name, meaning, value in (
        ("events_read", "Events read since it began", lambda: runner.events_read),
        ("checkpoints_held", "Checkpoints that are its share", lambda: runner.checkpoints_held),
    ):
        gauge = Gauge(f"handrail_projector_{name}", meaning, registry=registry)
        gauge.set_function(value)
    with served(registry, settings.metrics_port, settings.metrics_host):
        yield


async def _announce(runner: Runner, settings: Settings) -> None:
    await runner.reading.wait()
    ready(settings)


async def _retry(pool: Pool, app: App, stop: asyncio.Event) -> None:
    """What releases that did not wait parked as unknown goes on once it can be read."""
    while not stop.is_set():
        try:
            await retry_readable(pool, app.read_models, app.codec)
        except Exception as error:  # noqa: BLE001  # the next look may find the database
            if not refused_in(error):
                _log.warning("what was parked as unknown was not looked at", error=repr(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MAINTENANCE_SECONDS):
                await stop.wait()


async def _keep_moments(pool: Pool, app: App, stop: asyncio.Event) -> None:
    """Once a second, beside any number of others: the database lets one of them keep a moment."""
    summed = [one for one in app.read_models if one.adds is not None]
    while not stop.is_set():
        try:
            async with pool.connection() as connection:
                await connection.execute("SELECT keep_moment()")
                for projection in summed:
                    await kept_totals.keep(connection, projection)
        except Exception as error:  # noqa: BLE001  # as-of reads of this time are less exact then
            if not refused_in(error):
                _log.warning("no moment kept", error=repr(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEPT_EVERY):
                await stop.wait()


async def _maintain(pool: Pool, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with pool.connection() as connection:
                await connection.execute("SELECT maintain_partitions()")
                await prune(connection)
                await retry_requests.prune(connection)
        except Exception as error:  # noqa: BLE001  # it is only for later: the next time may do it
            if not refused_in(error):
                _log.warning("tables not maintained", error=repr(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MAINTENANCE_SECONDS):
                await stop.wait()
