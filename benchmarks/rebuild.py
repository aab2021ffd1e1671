"""All read models anew from a million events, by two projector processes.

Handrail: `handrail projections rebuild` of all of them, from the word until the last one is
exchanged, the ones in use beside them. The peer is one SELECT and a Python loop that upserts row by
row (`peers/plain_loop.py`) in one transaction, so that it waits for no disk; it is measured on the
first events after all shops have opened, where its tables are still small.

Both run in turns on one PostgreSQL, with the events that checkouts leave (`market.py`). The first
build is not counted: it is that of a new database, with which the projectors begin.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress, TaskID

from benchmarks.history import write_past
from benchmarks.market import Market, everything
from benchmarks.peers.plain_loop import COLUMNS, PlainLoop, connect
from benchmarks.processor import cpu_seconds
from benchmarks.reporting import Result, bar, report
from benchmarks.scratch import scratch_folder
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.supervisor import Service
from handrail.eventstore.pool import open_pool
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.migrate import migrate
from handrail.projections.rebuild import rebuild
from handrail.settings import Settings
from runtime.app import HANDRAIL

EVENTS: Final = 1_000_000
SAMPLE: Final = 20_000
"""Of them, for the loop."""
ROUNDS: Final = 3
PROJECTORS: Final = 2
MARKET: Final = Market("past", customers=20_000, merchants=200)
_NAMES: Final = [one.name for one in HANDRAIL.read_models]
_READ_UP_TO: Final = (
    "SELECT coalesce(sum(after_position) / count(*), 0)::bigint FROM checkpoints"
    " WHERE projection = 'saga_board__next'"
)


@dataclass(frozen=True)
class Round:
    """Rates are events a second; `cpu_us` is what an event cost, client and server together."""

    built: float
    cpu_us: float
    looped: float
    loop_statements: float


async def run(settings: Settings, *, json: bool) -> int:
    """0 where the goals are met."""
    console = Console(stderr=json)
    with scratch_folder(settings) as folder:
        async with EmbeddedPostgres(folder / "postgres") as postgres:
            with bar(console) as progress:
                await asyncio.to_thread(migrate, postgres.url, "handrail_app", app=HANDRAIL)
                await _write(postgres.url, progress)
                chosen = {"database_url": postgres.url, "log_level": "warning"}
                quiet = settings.model_copy(update=chosen)
                async with _projectors(quiet, folder) as projectors:
                    rounds = await _rounds(postgres, projectors, progress)
    return report(_result(rounds), settings.data_dir, console, json=json)


async def _write(url: str, progress: Progress) -> None:
    task = progress.add_task("writing events", total=EVENTS)
    async with open_pool(url, size=1) as pool, pool.connection() as connection:
        await write_past(
            connection,
            everything(MARKET),
            EVENTS,
            lambda written: progress.update(task, completed=written),
        )
    progress.update(task, completed=EVENTS)


@asynccontextmanager
async def _projectors(settings: Settings, folder: Path) -> AsyncIterator[Sequence[Service]]:
    services = [
        Service(
            f"projector-{number}",
            ["projector"],
            folder=folder,
            environment=settings.environment(),
            ready_seconds=120,
        )
        for number in range(PROJECTORS)
    ]
    try:
        await asyncio.gather(*(one.start() for one in services))
        yield services
    finally:
        await asyncio.gather(*(one.stop() for one in services))


async def _rounds(
    postgres: EmbeddedPostgres, projectors: Sequence[Service], progress: Progress
) -> Sequence[Round]:
    task = progress.add_task("first build", total=ROUNDS + 1)
    async with open_pool(postgres.url, size=2) as pool, pool.connection() as connection:

        async def value(query: str) -> Any:
            cursor = await connection.execute(query)
            [found] = await cursor.fetchone() or [None]
            return found

        unread = f"SELECT count(*) FROM checkpoints WHERE since::text = '{NOTHING_SEEN}'"
        while await value(unread):  # noqa: ASYNC110  # the condition lies in the database
            await asyncio.sleep(0.2)
        first = {name: await value(_fingerprint(name)) for name in _NAMES}
        progress.advance(task)
        rounds = []
        for number in range(ROUNDS):
            progress.update(task, description=f"round {number + 1}: the loop")
            looped, loop_statements = await asyncio.to_thread(_loop, postgres.url)
            await connection.execute("CHECKPOINT")
            progress.update(task, description=f"round {number + 1}: the rebuild")
            pids = [postgres.pid, *(one.pid for one in projectors)]
            cpu, began = cpu_seconds(*pids), time.perf_counter()
            await _rebuilt(postgres.url, value, progress)
            seconds = time.perf_counter() - began
            used = cpu_seconds(*pids) - cpu
            now = {name: await value(_fingerprint(name)) for name in _NAMES}
            _compare(first, now)
            built = EVENTS / seconds
            rounds.append(Round(built, used / EVENTS * 1e6, looped, loop_statements))
            progress.advance(task)
    return rounds


async def _rebuilt(url: str, value: Any, progress: Progress) -> None:
    task: TaskID = progress.add_task("events read", total=EVENTS)
    work = asyncio.create_task(rebuild(url, "handrail_app", _NAMES, HANDRAIL.read_models))
    while not work.done():
        await asyncio.wait([work], timeout=1)
        progress.update(task, completed=max(await value(_READ_UP_TO), progress.tasks[-1].completed))
    await work
    progress.remove_task(task)


def _loop(url: str) -> tuple[float, float]:
    """Events a second, and statements an event."""
    select = f"SELECT {COLUMNS} FROM events WHERE position > %s ORDER BY position LIMIT %s"
    with connect(url) as connection:
        loop = PlainLoop(connection)
        loop.handle(connection.execute(select, (0, MARKET.openings)))
        connection.commit()
        before, began = loop.statements, time.perf_counter()
        with connection.cursor("events") as cursor:
            cursor.itersize = 2000
            cursor.execute(select, (MARKET.openings, SAMPLE))
            loop.handle(cursor)
        connection.commit()
        seconds = time.perf_counter() - began
        if loop.passed_over:
            raise RuntimeError(f"the loop passed over {loop.passed_over} events")
        return SAMPLE / seconds, (loop.statements - before) / SAMPLE


def _fingerprint(table: str) -> str:
    return (
        f"SELECT count(*) || '/' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table} t"
    )


def _compare(first: Mapping[str, str], now: Mapping[str, str]) -> None:
    other = [name for name in first if first[name] != now[name]]
    if other:
        raise RuntimeError(f"built anew they are others: {', '.join(other)}")


def _result(rounds: Sequence[Round]) -> Result:
    built = [one.built for one in rounds]
    return Result(
        "rebuild",
        {
            "events_per_s": round(statistics.median(built)),
            "loop_events_per_s": round(statistics.median(one.looped for one in rounds)),
            "cpu_us_per_event": round(statistics.median(one.cpu_us for one in rounds), 1),
            "loop_statements_per_event": round(rounds[0].loop_statements, 2),
        },
        {"vs_loop": round(statistics.median(one.built / one.looped for one in rounds), 1)},
        {
            "events": EVENTS,
            "read_models": len(HANDRAIL.read_models),
            "projectors": PROJECTORS,
            "rounds": len(rounds),
            "events_of_the_loop": SAMPLE,
            "slowest_and_fastest": [round(min(built)), round(max(built))],
        },
    )
