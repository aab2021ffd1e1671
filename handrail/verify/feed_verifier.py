"""Follows the feed while others write, and swears to what it saw."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Self

import psycopg

from handrail.background import is_cancelled
from handrail.eventstore.feed import BEGINNING, read_page
from handrail.eventstore.pool import Connection
from handrail.eventstore.store import SHARDS

POLL_SECONDS = 0.05


class Witness:
    """An independent reader of the live feed: every event once, every stream in its order.

    It holds no lease and writes nothing, so it changes nothing for anybody. Where a connection is
    lost it begins anew, since the snapshot it had may be of a server that is gone.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._heads: defaultdict[str, int] = defaultdict(int)
        self.violations: list[str] = []
        self._pages = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def caught_up(self) -> None:
        """Wait until everything stored so far was seen; what is missing then is a violation."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as other:
            rows = await other.execute("SELECT name, version FROM streams")
            stored = {name: version for name, version in await rows.fetchall()}  # noqa: C416  # rows
        passed = self._pages + 2  # the page under way may have begun before the question
        while self._pages < passed:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(POLL_SECONDS)
        self.violations += [
            f"stream {stream}: the feed stopped at {self._heads[stream]} of {version}"
            for stream, version in stored.items()
            if self._heads[stream] < version
        ]

    async def _follow(self) -> None:
        while not is_cancelled():
            with suppress(psycopg.OperationalError):  # the server is away
                async with await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True
                ) as connection:
                    await self._read(connection)
            await asyncio.sleep(POLL_SECONDS)

    async def _read(self, connection: Connection) -> None:
        cursor, heads = BEGINNING, defaultdict[str, int](int)
        while True:
            page = await read_page(connection, cursor, range(SHARDS), 1_000)
            for one in page.events:
                if one.version != heads[one.stream] + 1:
                    self.violations.append(
                        f"stream {one.stream}: {one.version} came after {heads[one.stream]}"
                    )
                heads[one.stream] = one.version
            cursor = page.next
            if page.ends_batch:
                self._heads = heads
                self._pages += 1
                await asyncio.sleep(POLL_SECONDS)
