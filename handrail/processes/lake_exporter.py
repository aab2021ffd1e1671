"""The process that exports to the lake, and the commands that look after it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import orjson

from handrail.background import background_tasks
from handrail.connections import store_pool
from handrail.eventstore.codec import UnknownMessage
from handrail.eventstore.pool import Pool
from handrail.eventstore.subscriptions import registration
from handrail.lake import batches
from handrail.lake.leader_lease import FOLLOWER
from handrail.load_app import the_app
from handrail.optional_deps import require_extra
from handrail.processes.announced import announced, of_pool
from handrail.processes.process_metrics import Gauges, process_metrics
from handrail.readiness import ready_after
from handrail.settings import Settings
from handrail.terminal_tables import terminal

if TYPE_CHECKING:
    from handrail.lake.exporter import Exporter


def require_it() -> None:
    """End the process where the extra `lake` is not installed."""
    require_extra("lake", "deltalake", "arro3", "duckdb")


async def export(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set; another process beside it stands by."""
    from handrail.lake.exporter import OtherLake  # noqa: PLC0415  # it needs the extra

    async with (
        _exporter(settings) as exporter,
        _pool(settings) as pool,
        announced(of_pool(pool), the_app().codec, settings, "lake", stop),
    ):
        figures = exporter.figures
        gauges: Gauges = {
            "events_exported": ("Events exported since it began", lambda: figures.events),
            "batches_exported": ("Batches exported since it began", lambda: figures.batches),
            "last_batch": ("The last batch it exported", lambda: figures.last_batch),
            "on_turn": ("1 where it exports, 0 where it stands by", lambda: figures.on_turn),
        }
        try:
            async with background_tasks(ready_after(settings, exporter.working)):
                with process_metrics("lake", settings, gauges):
                    await exporter.run(stop)
        except (OtherLake, batches.BatchChanged) as wrong:
            raise SystemExit(str(wrong)) from None


async def catch_up(settings: Settings) -> int:
    """0 once all that was stored before is in the lake."""
    from handrail.lake.exporter import OtherLake  # noqa: PLC0415  # it needs the extra

    async with _exporter(settings) as exporter:
        try:
            done = await exporter.catch_up()
        except (OtherLake, batches.BatchChanged) as wrong:
            print(wrong, file=sys.stderr)
            return 1
        except UnknownMessage as unknown:
            print(f"the lake waits for newer code, which knows {unknown}", file=sys.stderr)
            return 1
    if not done:
        print("another process exports to the lake", file=sys.stderr)
        return 1
    exported, folder = exporter.figures, settings.lake_folder
    print(f"{exported.events} events in {exported.batches} batches went to {folder}")
    return 0


async def forget(settings: Settings, *, yes: bool = True, json: bool = False) -> int:
    """0 once nothing is kept for the lake; 1 where it was only said what that means."""
    console, folder = terminal(json=True), settings.lake_folder
    async with _pool(settings) as pool, pool.connection() as connection:
        if await registration.is_followed(connection, FOLLOWER):
            console.print("a process exports to the lake: stop it first")
            return 1
        newest = await batches.newest(connection)
        exported = newest.number if newest else 0
        console.print(f"The store knows of {exported} batches in {folder}.")
        console.print(
            "What is there stays, and gets no more events. The next export begins with the first"
            " event, in an empty folder; until then nothing is kept for it.",
        )
        if yes:
            async with connection.transaction():
                if not await registration.forget(connection, FOLLOWER):
                    console.print("an exporter has begun meanwhile, and nothing was forgotten")
                    return 1
                await batches.forget(connection)
            console.print("the lake is forgotten")
        else:
            console.print("Nothing was forgotten. With --yes it is.")
    if json:
        figures = {"batches": exported, "folder": str(folder), "forgotten": yes}
        print(orjson.dumps(figures).decode())
    return 0 if yes else 1


@asynccontextmanager
async def _exporter(settings: Settings) -> AsyncIterator[Exporter]:
    from handrail.lake.exporter import Exporter  # noqa: PLC0415  # it needs the extra
    from handrail.lake.table import Lake  # noqa: PLC0415

    routing = the_app().routing
    lake = await asyncio.to_thread(Lake, settings.lake_folder, routing.tenant)
    async with _pool(settings) as pool:
        yield Exporter(pool, lake, routing, every=settings.lake_seconds)


def _pool(settings: Settings) -> contextlib.AbstractAsyncContextManager[Pool]:
    return store_pool(settings, size=2, name="handrail-lake")
