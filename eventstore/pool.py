"""Connections as the event store wants them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]


@asynccontextmanager
async def open_pool(
    url: str, *, role: str = "", size: int = 8, name: str = "handrail"
) -> AsyncIterator[Pool]:
    """A pool of autocommitting connections, so that a statement alone is one round trip.

    `role` is the role every connection takes on, so that the application can do no more than it
    may; empty keeps the login role.
    """

    async def configure(connection: Connection) -> None:
        set_json_loads(orjson.loads, connection)
        set_json_dumps(orjson.dumps, connection)
        if role:
            await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))

    options: dict[str, Any] = {
        "autocommit": True,
        "prepare_threshold": 1,
        "application_name": name,
        "connect_timeout": 5,
        "options": "-c timezone=UTC",
    }
    pool: Pool = AsyncConnectionPool(
        url,
        kwargs=options,
        configure=configure,
        min_size=1,
        max_size=size,
        timeout=10,
        reconnect_timeout=0,
        open=False,
        name=name,
    )
    async with pool:
        yield pool
