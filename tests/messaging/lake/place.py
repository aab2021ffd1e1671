"""A store, a lake beside it, and what both of them say."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from deltalake import DeltaTable

from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore, shard_of
from handrail.kernel import Event
from handrail.lake.columns import columns_of
from handrail.lake.exporter import Exporter
from handrail.lake.table import Lake
from handrail.messaging.relay.routing import Routing
from runtime.app import HANDRAIL

PROGRAM = str(Path(sys.executable).with_name("handrail"))
KILLER = str(Path(__file__).with_name("killer.py"))
FIRST = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
"""When the months of business begin."""
SQL = psycopg.AsyncConnection[Any]


@dataclass
class Place:
    url: str
    folder: Path
    pool: Pool
    sql: SQL
    """As the owner of the database."""
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def append(self, stream: str, *events: Event) -> None:
        store = EventStore(self.pool, HANDRAIL.codec)
        await store.append(
            [(stream, ANY_VERSION, events)], metadata={"actor": "ann", "correlation": "saga-1"}
        )

    async def on_record(
        self, at: datetime, stream: str, *events: Event, saga: str = "", **metadata: str
    ) -> None:
        """As it would be if it had been appended then: the store itself knows only now."""
        about = {**metadata, **({"correlation": saga} if saga else {})}
        for event in events:
            encoded = HANDRAIL.codec.encode(event)
            await self.sql.execute(
                "WITH v AS (INSERT INTO streams VALUES (%(stream)s, 1) ON CONFLICT (name)"
                " DO UPDATE SET version = streams.version + 1 RETURNING version)"
                ", e AS (INSERT INTO events"
                " (stream, version, shard, type, schema, data, metadata, recorded_at)"
                " SELECT %(stream)s, v.version, %(shard)s, %(type)s, %(schema)s, %(data)s,"
                " %(about)s, %(at)s FROM v RETURNING position, txid, shard)"
                "INSERT INTO outbox SELECT position, txid, shard FROM e",
                {
                    "stream": stream,
                    "shard": shard_of(stream),
                    "type": encoded.type,
                    "schema": encoded.schema,
                    "data": encoded.data.decode(),
                    "about": json.dumps(about),
                    "at": at,
                },
            )

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return list(await (await self.sql.execute(query.encode())).fetchall())

    def lake(self, **options: Any) -> Lake:
        return Lake(self.folder, HANDRAIL.tenant, **options)

    def exporter(
        self, lake: Lake | None = None, routing: Routing = HANDRAIL.routing, **options: Any
    ) -> Exporter:
        return Exporter(self.pool, lake or self.lake(), routing, **{"every": 0.05, **options})

    async def export(self, **options: Any) -> None:
        assert await self.exporter(**options).catch_up()

    async def process(self, *arguments: str, killer: str = "") -> asyncio.subprocess.Process:
        """`handrail lake …`; with a `killer`, the kernel ends it at that system call."""
        through = [sys.executable, KILLER, killer] if killer else []
        process = await asyncio.create_subprocess_exec(
            *through,
            PROGRAM,
            "lake",
            *arguments,
            env={
                "PATH": os.environ["PATH"],
                "HANDRAIL_DATABASE_URL": self.url,
                "HANDRAIL_LAKE_DIR": str(self.folder),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    async def ended(self, process: asyncio.subprocess.Process) -> tuple[int | None, str]:
        async with asyncio.timeout(30):
            out, error = await process.communicate()
        return process.returncode, (out + error).decode()

    async def lease_is_over(self) -> None:
        """As if the time had passed after which a process is thought dead."""
        await self.sql.execute("UPDATE checkpoints SET leased_until = now() - interval '1 s'")

    async def there_is_everything_once(self) -> None:
        """Both sides are read by their own means, and compared row by row."""
        store = await self.rows(
            "SELECT position, stream || '/' || version, stream, version, type, schema,"
            " recorded_at, data, metadata, metadata->>'actor', metadata->>'correlation'"
            " FROM events ORDER BY position"
        )
        lake = self.ask(
            "SELECT position, id, stream, version, type, schema, recorded_at, data, metadata,"
            ' actor, saga FROM events ORDER BY "position"'
        )
        found = [(*row[:7], json.loads(row[7]), json.loads(row[8]), *row[9:]) for row in lake]
        assert len(found) == len(store)
        assert found == store
        counted = "SELECT type, count(*) FROM events GROUP BY type ORDER BY type"
        assert self.ask(counted) == await self.rows(counted.replace("type", 'type COLLATE "C"'))
        placed = self.ask("SELECT DISTINCT day, recorded_at::DATE FROM events")
        assert all(day == recorded for day, recorded in placed)

    def table(self) -> DeltaTable:
        return DeltaTable(self.folder / "events")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """By DuckDB, of the files that the newest version of the table names."""
        files = self.table().file_uris()
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(
                f"CREATE VIEW events AS SELECT * FROM read_parquet({files!r},"
                " union_by_name = true, hive_partitioning = true,"
                " hive_types = {'day': DATE, 'context': VARCHAR})"
            )
            return connection.execute(query).fetchall()

    def data_files(self) -> set[Path]:
        return set((self.folder / "events").glob("day=*/context=*/*.parquet"))


@asynccontextmanager
async def a_place(url: str, folder: Path) -> AsyncIterator[Place]:
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as sql,
        open_pool(url, role="handrail_app", size=8) as pool,
    ):
        place = Place(url, folder, pool, sql)
        try:
            yield place
        finally:
            for process in place.processes:
                if process.returncode is None:
                    process.kill()
                    await process.communicate()


def columns_without(*names: str) -> Sequence[Any]:
    return [one for one in columns_of(HANDRAIL.tenant) if one.name not in names]
