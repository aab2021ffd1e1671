"""Several transactions side by side, one step at a time, over real connections.

A `Writer` is a transaction that appends, and does what else transactions do; a `Reader` follows the
feed. Nothing here sleeps to be right: `Lab.until_it_waits` asks PostgreSQL who waits for whom.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import psycopg

from handrail.eventstore.codec import Codec
from handrail.eventstore.feed import BEGINNING, Cursor, read_page
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import ANY_VERSION, SHARDS, Appended, EventStore, Recorded
from handrail.kernel import Event
from handrail.sagas.events import Direction
from handrail.sagas.step_keys import StepContext, StepKey

T = TypeVar("T")

DEADLINE = 10
ALL_SHARDS = range(SHARDS)
TODAY = date(2026, 11, 23)


@dataclass(frozen=True, kw_only=True)
class Noted(Event):
    text: str = ""


CODEC = Codec.of([Noted])


def notes(count: int) -> list[Noted]:
    return [Noted(text=str(number)) for number in range(count)]


def step(
    name: str = "HoldCredit",
    direction: Direction = "do",
    *,
    saga: str = "checkout-1",
    attempt: int = 1,
    closes: Sequence[str] = (),
) -> StepContext:
    key = StepKey(saga=saga, attempt=attempt, step=name, direction=direction, opened_on=TODAY)
    return StepContext(key=key, actor="tests", closes=tuple(closes))


def store_over(connection: Connection, codec: Codec = CODEC) -> EventStore:
    """An event store whose every statement goes through this connection, and its transaction."""

    class Pinned:
        @asynccontextmanager
        async def connection(self) -> AsyncIterator[Connection]:
            yield connection

    return EventStore(cast("Pool", Pinned()), codec)


@dataclass
class Writer:
    """One connection, outside autocommit: its transaction lasts until `commit` or `rollback`."""

    connection: Connection

    @property
    def pid(self) -> int:
        return self.connection.info.backend_pid

    @property
    def store(self) -> EventStore:
        return store_over(self.connection)

    async def append(
        self,
        stream: str,
        count: int = 1,
        *,
        expected: int | None = ANY_VERSION,
        context: StepContext | None = None,
        answer: Mapping[str, Any] | None = None,
    ) -> Appended:
        return await self.store.append(
            [(stream, expected, notes(count))], context=context, answer=answer
        )

    async def write_elsewhere(self) -> None:
        """What gives a transaction its number before it has locked any stream."""
        await self.connection.execute("INSERT INTO elsewhere DEFAULT VALUES")

    async def savepoint(self) -> None:
        await self.connection.execute("SAVEPOINT here")

    async def rollback_to_savepoint(self) -> None:
        await self.connection.execute("ROLLBACK TO here")

    async def release_savepoint(self) -> None:
        await self.connection.execute("RELEASE here")

    async def commit(self) -> None:
        await self.connection.commit()

    async def rollback(self) -> None:
        await self.connection.rollback()


@dataclass
class Reader:
    connection: Connection
    limit: int = 1000
    shards: Sequence[int] = ALL_SHARDS
    cursor: Cursor = BEGINNING
    delivered: list[Recorded] = field(default_factory=list)

    async def page(self) -> list[str]:
        """Read one page; answers what came, as `stream@version`."""
        page = await read_page(self.connection, self.cursor, self.shards, self.limit)
        self.cursor = page.next
        self.delivered.extend(page.events)
        return [f"{event.stream}@{event.version}" for event in page.events]

    async def batch(self) -> list[str]:
        """Read to the end of the batch."""
        came = await self.page()
        while self.cursor.until is not None:
            came += await self.page()
        return came


class Lab:
    """Opens connections to one database, and closes them all."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.sql = await self.connect(autocommit=True)
        await self.sql.execute(
            "CREATE TABLE IF NOT EXISTS elsewhere (id int GENERATED ALWAYS AS IDENTITY)"
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, at)

    async def connect(self, *, autocommit: bool = False) -> Connection:
        connection = await psycopg.AsyncConnection.connect(self.url, autocommit=autocommit)
        self._stack.push_async_callback(connection.close)
        return connection

    async def writer(self) -> Writer:
        return Writer(await self.connect())

    async def writers(self, count: int) -> list[Writer]:
        return [await self.writer() for _ in range(count)]

    async def reader(self, limit: int = 1000, shards: Sequence[int] = ALL_SHARDS) -> Reader:
        """A live reader: it has read everything that was there."""
        reader = await self.rebuilder(limit, shards)
        await reader.batch()
        return reader

    async def rebuilder(self, limit: int = 1000, shards: Sequence[int] = ALL_SHARDS) -> Reader:
        """A reader that begins with the first event."""
        return Reader(await self.connect(autocommit=True), limit, shards)

    async def store(self) -> EventStore:
        return store_over(await self.connect(autocommit=True))

    async def appended(self, stream: str, count: int = 1) -> None:
        """Append and commit."""
        await (await self.store()).append([(stream, ANY_VERSION, notes(count))])

    async def value(self, query: str, *parameters: Any) -> Any:
        row = await (await self.sql.execute(query.encode(), parameters)).fetchone()
        return row[0] if row else None

    async def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return await (await self.sql.execute(query.encode(), parameters)).fetchall()

    async def counts(self) -> dict[str, int]:
        """How much is stored, and the last position that was taken."""
        tables = ("streams", "events", "outbox", "commands")
        counts = {table: await self.value(f"SELECT count(*) FROM {table}") for table in tables}
        taken = await self.value(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_position_seq"
        )
        return {**counts, "position": taken}

    async def until_it_waits(self, pid: int) -> None:
        """Return once this backend waits for a lock that somebody else holds."""
        await self.until("SELECT cardinality(pg_blocking_pids(%s)) > 0", pid)

    async def waits_until(
        self,
        waiting: Writer,
        pending: Coroutine[Any, Any, T],
        let_go: Callable[[], Awaitable[None]],
    ) -> T:
        """What `pending` comes to, which can only go on once `let_go` was called."""
        task = asyncio.ensure_future(pending)
        try:
            await self.until_it_waits(waiting.pid)
            assert not task.done()
            await let_go()
            async with asyncio.timeout(DEADLINE):
                return await task
        finally:
            task.cancel()

    async def until(self, condition: str, *parameters: Any) -> None:
        async with asyncio.timeout(DEADLINE):
            while not await self.value(condition, *parameters):  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.005)

    async def expect_exactly_once(self, *readers: Reader) -> None:
        """Each reader got every committed event of its shards once, and streams in their order."""
        for reader in readers:
            wanted = await self.rows(
                "SELECT position FROM events WHERE shard = ANY (%s) ORDER BY position",
                list(reader.shards),
            )
            got = [event.position for event in reader.delivered]
            assert sorted(got) == [position for (position,) in wanted]
            versions: dict[str, list[int]] = defaultdict(list)
            for event in reader.delivered:
                versions[event.stream].append(event.version)
            for stream, came in versions.items():
                assert came == sorted(came), f"{stream} came as {came}"
