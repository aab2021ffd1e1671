"""What appending, loading and following cost over ten million events, beside a hundred thousand.

Two databases of one server, in turns: two events are appended to a stream anywhere in the store,
whose version is not known; a stream anywhere is loaded; a live follower reads the next page.

The large database is made once and kept in `bench/growth` of the data folder: that takes about ten
minutes and needs 12 GB, of which 9 GB stay. The small one is made anew each time. Both are read
once as a whole before anything is measured.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import psycopg
from rich.console import Console

from benchmarks.appends import ANSWER, Append
from benchmarks.long_past import FORM, line, lines_of, write_long_past
from benchmarks.reporting import KEPT_IN, Result, bar, report
from handrail.activities.command_handler import metadata_of
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.feed import Cursor, read_page
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import ANY_VERSION, SHARDS, EventStore
from handrail.migrations import upgrade
from handrail.settings import Settings
from runtime.app import HANDRAIL

SMALL: Final = 100_000
LARGE: Final = 10_000_000
ROUNDS: Final = 40
"""The first is not counted, and who goes first changes from one to the next."""
TIMES: Final = 50
"""Of each operation in a round, in each database."""
PAGE: Final = 100  # events
ROLE: Final = "handrail_app"


@dataclass
class Store:
    """One of the two, and the milliseconds that each operation took there."""

    events: int
    pool: Pool
    chance: random.Random
    milliseconds: dict[str, list[float]] = field(
        default_factory=lambda: {"append": [], "load": [], "feed": []}
    )
    appended: int = 0

    @property
    def store(self) -> EventStore:
        return EventStore(self.pool, HANDRAIL.codec)

    def anywhere(self) -> str:
        return line(self.chance.randrange(lines_of(self.events)))

    async def append(self) -> None:
        self.appended += 1
        new = Append(self.anywhere(), time.time_ns())
        await self.store.append(
            [(new.stream, ANY_VERSION, new.events)],
            context=new.context,
            answer=ANSWER,
            metadata=metadata_of(new.context, HANDRAIL.tenant),
        )

    async def load(self) -> None:
        stream = f"credit-{self.anywhere()}"
        loaded = await self.store.load({stream: 0})
        if not loaded[stream].events:
            raise RuntimeError(f"there is no {stream}")

    async def feed(self, since: str) -> None:
        async with self.pool.connection() as connection:
            page = await read_page(connection, Cursor(since), range(SHARDS), PAGE)
        if len(page.events) != PAGE:
            raise RuntimeError(f"a page of {len(page.events)} events")

    async def seen(self) -> str:
        async with self.pool.connection() as connection:
            row = await (await connection.execute("SELECT pg_current_snapshot()::text")).fetchone()
        return str(row and row[0])


async def run(settings: Settings, *, json: bool) -> int:
    console = Console(stderr=json)
    folder = settings.data_dir / KEPT_IN / "growth"
    async with EmbeddedPostgres(folder) as postgres:
        small, large = f"growth_{FORM}_{SMALL}", f"growth_{FORM}_{LARGE}"
        await _filled(postgres, large, LARGE, console, anew=False)
        await _filled(postgres, small, SMALL, console, anew=True)
        async with AsyncExitStack() as stack:
            stores = []
            for database, events in ((small, SMALL), (large, LARGE)):
                url = postgres.url_of(database)
                await _read_whole(url)
                pool = await stack.enter_async_context(open_pool(url, role=ROLE, size=1))
                stores.append(Store(events, pool, random.Random(events)))
            await _rounds(stores, console)
        size = await _size_of_an_event(postgres.url_of(large))
    return report(_result(stores, size), settings.data_dir, console, json=json)


async def _filled(
    postgres: EmbeddedPostgres, name: str, events: int, console: Console, *, anew: bool
) -> None:
    """It gets its name when it is complete."""
    unfinished = "growth_unfinished"
    async with await psycopg.AsyncConnection.connect(
        postgres.url_of("postgres"), autocommit=True
    ) as admin:
        found = await admin.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        if found.rowcount and not anew:
            await asyncio.to_thread(upgrade, postgres.url_of(name))
            return
        for old in (unfinished, name):
            await admin.execute(f"DROP DATABASE IF EXISTS {old} WITH (FORCE)".encode())
        await admin.execute(f"CREATE DATABASE {unfinished}".encode())
        await asyncio.to_thread(upgrade, postgres.url_of(unfinished))
        with bar(console) as shown:
            task = shown.add_task(f"copying {events:,} events", total=events)
            await write_long_past(
                postgres.url_of(unfinished), events, lambda more: shown.advance(task, more)
            )
        await asyncio.to_thread(upgrade, postgres.url_of(unfinished))  # partitions up to here
        await admin.execute(f"ALTER DATABASE {unfinished} RENAME TO {name}".encode())


async def _read_whole(url: str) -> None:
    """What the system keeps in memory of it is a matter of the system's memory from here on."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        await owner.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
        await owner.execute(
            "SELECT pg_prewarm(oid, 'read') FROM pg_class WHERE relkind IN ('r', 'i')"
            " AND relnamespace = 'public'::regnamespace"
        )
        await owner.execute("CHECKPOINT")


async def _rounds(stores: Sequence[Store], console: Console) -> None:
    with bar(console) as shown:
        task = shown.add_task("appending, loading, following", total=ROUNDS)
        for number in range(ROUNDS):
            for store in stores if number % 2 else stores[::-1]:
                since = await store.seen()
                for name, operation in (
                    ("append", store.append),
                    ("load", store.load),
                    ("feed", partial(store.feed, since)),
                ):
                    measured = [await _milliseconds(operation) for _ in range(TIMES)]
                    if number:
                        store.milliseconds[name] += measured
            shown.advance(task)


async def _milliseconds(operation: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await operation()
    return (time.perf_counter() - began) * 1000


async def _size_of_an_event(url: str) -> float:
    """Bytes of the table and its indexes."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (
            await connection.execute(
                "SELECT pg_total_relation_size('events')::float8 / count(*) FROM events"
            )
        ).fetchone()
    return float(row[0]) if row else 0.0


def _result(stores: Sequence[Store], size: float) -> Result:
    figures: dict[str, float] = {"bytes_per_event": round(size)}
    ratios = {}
    for name in ("append", "load", "feed"):
        small, large = (statistics.median(one.milliseconds[name]) for one in stores)
        figures[f"{name}_100k_ms"], figures[f"{name}_10m_ms"] = round(small, 3), round(large, 3)
        ratios[f"{name}_10m_over_100k"] = round(large / small, 2)
    return Result(
        "growth",
        figures,
        ratios,
        {
            "events": [SMALL, LARGE],
            "of_each": (ROUNDS - 1) * TIMES,
            "events_per_append": 2,
            "events_per_page": PAGE,
        },
    )
