"""A database with read models, and what the tests do to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from handrail.eventstore.codec import Codec
from handrail.eventstore.pool import Pool, open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore, Recorded
from handrail.kernel import Event
from handrail.projections.fold import apply, read
from handrail.projections.projection import Projection, id_of
from handrail.projections.projector import Runner
from handrail.projections.retry_parked import Retried, retry
from runtime.app import HANDRAIL

ROLE = "handrail_app"
Projections = Sequence[Projection[Any]]


@dataclass(frozen=True)
class World:
    url: str
    pool: Pool
    engine: AsyncEngine

    async def append(self, stream: str, *events: Event, codec: Codec = HANDRAIL.codec) -> str:
        """Answers the token."""
        store = EventStore(self.pool, codec)
        appended = await store.append([(stream, ANY_VERSION, events)], metadata={"actor": "ann"})
        return appended.token

    def runner(
        self,
        projections: Projections = HANDRAIL.read_models,
        codec: Codec = HANDRAIL.codec,
        **options: Any,
    ) -> Runner:
        return Runner(self.pool, projections, codec, **{"poll": 0.005, "lease": 1.0, **options})

    async def catch_up(
        self, projections: Projections = HANDRAIL.read_models, **options: Any
    ) -> None:
        await self.runner(projections, **options).catch_up()

    async def retry(
        self,
        name: str,
        stream: str,
        projections: Projections = HANDRAIL.read_models,
        codec: Codec = HANDRAIL.codec,
    ) -> Retried:
        return await retry(self.pool, name, stream, projections, codec)

    @asynccontextmanager
    async def running(self, *runners: Runner) -> AsyncIterator[None]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(runner.run(stop)) for runner in runners]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def sql(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """As the owner of the database, who may do anything."""
        async with self.engine.begin() as connection:
            found = await connection.execute(text(query), values)
            return [tuple(row) for row in found] if found.returns_rows else []

    async def value(self, query: str, **values: Any) -> Any:
        [(value,)] = await self.sql(query, **values)
        return value

    async def rows(
        self, projection: Projection[Any], table: str | None = None
    ) -> Mapping[str, Mapping[str, Any]]:
        columns = ", ".join(f'"{projection.name_of(one)}"' for one in projection.columns)
        name = table or projection.table.name
        found = await self.sql(f"SELECT {columns} FROM {name}")
        return {row[0]: dict(zip(projection.columns, row, strict=True)) for row in found}

    async def folded(
        self, projection: Projection[Any], codec: Codec = HANDRAIL.codec
    ) -> Mapping[str, Mapping[str, Any]]:
        """What the rows must be, by the plainest means: all events, one after the other."""
        found = await self.sql(
            "SELECT position, stream, version, type, schema, data, metadata, recorded_at"
            " FROM events ORDER BY position"
        )
        rows: dict[str, Any] = {}
        for one in found:
            recorded = Recorded(*one)
            if projection.reads(recorded):
                id_ = id_of(recorded.stream)
                rows[id_] = apply(projection, rows.get(id_), read(recorded, codec))
        return {id_: as_stored(row) for id_, row in rows.items() if row is not None}

    async def seen_all(self, name: str) -> bool:
        """Nothing in the outbox is new to any checkpoint of the projection."""
        unseen = await self.value(
            "SELECT count(*) FROM checkpoints c JOIN outbox o ON o.shard = c.shard"
            " WHERE c.projection = :name AND NOT pg_visible_in_snapshot(o.txid, c.since)",
            name=name,
        )
        return bool(unseen == 0)


@asynccontextmanager
async def a_world(url: str) -> AsyncIterator[World]:
    """Over a database that has them."""
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        json_deserializer=orjson.loads,
        json_serializer=lambda value: orjson.dumps(value).decode(),
    )
    try:
        async with open_pool(url, role=ROLE, size=20) as pool:
            yield World(url, pool, engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def nobody_can_write(world: World, table: str) -> AsyncIterator[None]:
    """Whoever tries waits in the middle of its transaction."""
    async with world.engine.begin() as connection:
        await connection.execute(text(f"LOCK TABLE {table} IN EXCLUSIVE MODE"))
        yield


async def stuck(world: World) -> list[int]:
    found = await world.sql(
        "SELECT pid FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return [pid for (pid,) in found]


def as_stored(row: Any) -> dict[str, Any]:
    """A row as it comes back from the database: JSON columns hold JSON."""
    plain = asdict(row)
    return {
        name: orjson.loads(orjson.dumps(value)) if isinstance(value, dict | list | tuple) else value
        for name, value in plain.items()
    }


async def until(
    condition: Callable[[], Awaitable[bool]], *, seconds: float = 60, what: str = ""
) -> None:
    """Ask until it is so; fail when it never becomes so."""
    pause = 0.01
    async with asyncio.timeout(seconds):
        while not await condition():  # the condition lies in the database
            await asyncio.sleep(pause)
            pause = min(1.3 * pause, 0.05)
