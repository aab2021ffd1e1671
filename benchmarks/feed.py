"""How soon what was appended shows in the read models, at 1,000 events a second.

A writer process appends what checkouts do, step by step (`steady.py`). Handrail: one projector
process keeps all read models. The peer is a loop that selects what lies behind its last position
every 50 ms, and upserts row by row, one transaction a turn (`peers/plain_loop.py`). It never sees
an event whose transaction was overtaken by a later one: such events are lost, not late.

Both get the same events, on databases of their own on one PostgreSQL, in turns. The lag is that of
single events, the newest one at random moments: from when it was stored, just before its commit,
until a query finds it in `saga_board`, all by the server's clock. The statements are those that
PostgreSQL counted of the projector's role, BEGIN and COMMIT among them.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from rich.console import Console
from rich.progress import Progress

from benchmarks.history import write_past
from benchmarks.lags import Lags
from benchmarks.peers.polling import POLL, Polling
from benchmarks.reporting import Result, bar, report
from benchmarks.scratch import scratch_folder
from benchmarks.steady import CUSTOMERS, MERCHANTS, market
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.supervisor import Service
from handrail.eventstore.pool import Connection, open_pool
from handrail.eventstore.tables import NOTHING_SEEN
from handrail.migrate import migrate
from handrail.settings import Settings
from runtime.app import HANDRAIL

RATE: Final = 1_000
SECONDS: Final = 60
LOOP_SECONDS: Final = 20
"""For the peer, who falls ever further behind."""
ROUNDS: Final = 2
WARM_UP: Final = 5
_PATIENCE: Final = 120
"""Seconds, for who has fallen behind."""
_OPENED: Final = "opened"
_ROLE: Final = "handrail_app"
_COUNTED: Final = (
    f"SELECT sum(calls) FROM pg_stat_statements WHERE userid = '{_ROLE}'::regrole"
    " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass(frozen=True)
class Window:
    """`lags` are milliseconds; `written` is events a second; `lost` how many events were missed."""

    lags: Sequence[float]
    written: float
    statements_per_event: float
    lost: int

    def lag(self, percent: int) -> float:
        return statistics.quantiles(self.lags, n=100)[percent - 1]


async def run(settings: Settings, *, json: bool) -> int:
    """0 where the goals are met."""
    console = Console(stderr=json)
    with scratch_folder(settings) as folder:
        async with EmbeddedPostgres(folder / "postgres") as postgres:
            await _count_statements(postgres)
            await asyncio.to_thread(_open_market, postgres)
            bench = _Bench(postgres, settings, folder)
            with bar(console) as progress:
                ours, loops = await bench.rounds(progress)
    return report(_result(ours, loops), settings.data_dir, console, json=json)


class _Bench:
    def __init__(self, postgres: EmbeddedPostgres, settings: Settings, folder: Path) -> None:
        self._postgres = postgres
        self._settings = settings
        self._folder = folder
        self._databases = 0

    async def rounds(self, progress: Progress) -> tuple[Sequence[Window], Sequence[Window]]:
        task = progress.add_task("warming up", total=ROUNDS + 1)
        await self._handrail(WARM_UP)
        await self._loop(WARM_UP)
        ours, loops = [], []
        for number in range(1, ROUNDS + 1):
            progress.advance(task)
            progress.update(task, description=f"round {number}: Handrail")
            ours.append(await self._handrail(SECONDS))
            progress.update(task, description=f"round {number}: the loop")
            loops.append(await self._loop(LOOP_SECONDS))
        progress.advance(task)
        return ours, loops

    async def _handrail(self, seconds: int) -> Window:
        url = await self._database()
        chosen = {"database_url": url, "database_role": _ROLE, "log_level": "warning"}
        environment = self._settings.model_copy(update=chosen).environment()
        projector = Service(
            "projector", ["projector"], folder=self._folder, environment=environment
        )
        await projector.start()
        try:
            async with _connection(url) as connection:
                await _is_up_to_date(connection)
                before = await _value(connection, _COUNTED)
                lags, written = await _measured(connection, url, seconds, "saga_board")
                statements = await _value(connection, _COUNTED) - before
                lost = await _value(connection, "SELECT count(*) FROM parked_events")
        finally:
            await projector.stop()
        events = written * seconds
        return Window(lags, written, float(statements) / events, lost)

    async def _loop(self, seconds: int) -> Window:
        url = await self._database()
        naive = Polling(url)
        thread = asyncio.create_task(asyncio.to_thread(naive.run))
        try:
            async with _connection(url) as connection:
                await asyncio.to_thread(naive.ready.wait)
                before, handled = naive.statements, naive.handled
                lags, written = await _measured(
                    connection, url, seconds, "saga_board__loop", naive.has_passed
                )
                statements = (naive.statements - before) / (naive.handled - handled)
                newest = await _value(connection, "SELECT max(position) FROM events")
                while not naive.has_passed(newest):  # noqa: ASYNC110  # a thread
                    await asyncio.sleep(POLL)
                stored = await _value(connection, "SELECT count(*) FROM events")
        finally:
            naive.stop.set()
            await thread
        return Window(lags, written, statements, stored - naive.handled)

    async def _database(self) -> str:
        """One in which all shops have just opened."""
        self._databases += 1
        name = f"bench_{self._databases}"
        async with _connection(self._postgres.url) as connection:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {_OPENED}")
        return self._postgres.url_of(name)


async def _measured(
    connection: Connection,
    url: str,
    seconds: int,
    board: str,
    passed: Callable[[int], bool] = lambda _position: False,
) -> tuple[Sequence[float], float]:
    """Lags while a writer is at work, and how many events a second it wrote."""
    opened = await _value(connection, "SELECT max(position) FROM events")
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.steady", url, "trade", str(RATE), str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    end = asyncio.create_task(writer.communicate())
    lags = Lags(connection, board, passed, after=opened + RATE)  # it has got going by then
    try:
        while not end.done():
            await lags.look(more=True)
        async with asyncio.timeout(_PATIENCE):
            while lags.waiting:
                await lags.look(more=False)
        out, _ = await end
    finally:
        if writer.returncode is None:
            writer.kill()
            await writer.wait()
    if writer.returncode:
        raise RuntimeError(f"the writer ended with {writer.returncode}")
    return lags.found, float(out)


async def _is_up_to_date(connection: Connection) -> None:
    unread = f"SELECT count(*) FROM checkpoints WHERE since::text = '{NOTHING_SEEN}'"
    while await _value(connection, unread):  # noqa: ASYNC110  # the condition lies in the database
        await asyncio.sleep(0.1)


async def _value(connection: Connection, query: str) -> Any:
    cursor = await connection.execute(query)
    return (await cursor.fetchone() or [None])[0]


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Connection]:
    async with open_pool(url, size=1, name="bench") as pool, pool.connection() as connection:
        yield connection


async def _count_statements(postgres: EmbeddedPostgres) -> None:
    async with _connection(postgres.url) as connection:
        await connection.execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
    await postgres.stop()
    await postgres.start()


def _open_market(postgres: EmbeddedPostgres) -> None:
    """The database that the others are copied from."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_OPENED}")
    url = postgres.url_of(_OPENED)
    migrate(url, _ROLE, app=HANDRAIL)

    async def write() -> None:
        async with _connection(url) as connection:
            await connection.execute("CREATE EXTENSION pg_stat_statements")
            shop = market("trade")
            await write_past(connection, shop.opens(), shop.openings)

    asyncio.run(write())


def _result(ours: Sequence[Window], loops: Sequence[Window]) -> Result:
    def median(values: Sequence[float]) -> float:
        return round(statistics.median(values), 1)

    return Result(
        "feed",
        {
            "lag_p99_ms": median([one.lag(99) for one in ours]),
            "lag_p50_ms": median([one.lag(50) for one in ours]),
            "loop_lag_p99_ms": median([one.lag(99) for one in loops]),
            "loop_lag_p50_ms": median([one.lag(50) for one in loops]),
            "statements_per_event": round(
                statistics.median(one.statements_per_event for one in ours), 3
            ),
            "loop_statements_per_event": round(
                statistics.median(one.statements_per_event for one in loops), 3
            ),
            "lost_events": sum(one.lost for one in ours),
            "loop_lost_events": sum(one.lost for one in loops),
            "written_per_s": median([one.written for one in ours]),
            "loop_written_per_s": median([one.written for one in loops]),
        },
        {
            "loop_lag_p50_vs_ours": median(
                [a.lag(50) / b.lag(50) for a, b in zip(loops, ours, strict=True)]
            )
        },
        {
            "events_per_s": RATE,
            "seconds": SECONDS,
            "loop_seconds": LOOP_SECONDS,
            "rounds": len(ours),
            "lags_measured": sum(len(one.lags) for one in ours),
            "loop_lags_measured": sum(len(one.lags) for one in loops),
            "read_models": len(HANDRAIL.read_models),
            "customers": CUSTOMERS,
            "merchants": MERCHANTS,
            "loop_poll_ms": POLL * 1000,
        },
    )
