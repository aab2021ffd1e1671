"""The projector process: keeps the read models, and the partitioned tables in shape."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from handrail.app import App
from handrail.background import background_tasks
from handrail.connections import store_pool
from handrail.eventstore import retry_requests
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Pool
from handrail.eventstore.prune_tables import prune
from handrail.load_app import the_app
from handrail.processes.announced import announced, of_pool
from handrail.processes.process_metrics import Gauges, process_metrics
from handrail.projections import kept_totals
from handrail.projections.moments import KEPT_EVERY
from handrail.projections.projector import Runner
from handrail.projections.retry_readable import retry_readable
from handrail.projections.retry_requested import keep_retrying
from handrail.readiness import ready_after
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
        gauges: Gauges = {
            "events_read": ("Events read since it began", lambda: runner.events_read),
            "checkpoints_held": ("Checkpoints that are its share", lambda: runner.checkpoints_held),
        }
        async with background_tasks(
            ready_after(settings, runner.reading),
            _maintain(pool),
            _retry(pool, app),
            keep_retrying(pool, app.read_models, app.codec),
            _keep_moments(pool, app),
        ):
            with process_metrics("projector", settings, gauges):
                await runner.run(stop)


async def _retry(pool: Pool, app: App) -> None:
    """What releases that did not wait parked as unknown goes on once it can be read."""
    look = partial(retry_readable, pool, app.read_models, app.codec)
    failed = "what was parked as unknown was not looked at"
    await run_periodically(look, _MAINTENANCE_SECONDS, _log, failed)


async def _keep_moments(pool: Pool, app: App) -> None:
    """Once a second, beside any number of others: the database lets one of them keep a moment.
    As-of reads of a time without any are less exact.
    """
    summed = [one for one in app.read_models if one.adds is not None]

    async def keep() -> None:
        async with pool.connection() as connection:
            await connection.execute("SELECT keep_moment()")
            for projection in summed:
                await kept_totals.keep(connection, projection)

    await run_periodically(keep, KEPT_EVERY, _log, "no moment kept")


async def _maintain(pool: Pool) -> None:
    async def maintained() -> None:
        async with pool.connection() as connection:
            await connection.execute("SELECT maintain_partitions()")
            await prune(connection)
            await retry_requests.prune(connection)

    await run_periodically(maintained, _MAINTENANCE_SECONDS, _log, "tables not maintained")
