"""The limit of what an append can be: the same rows, put into one table and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, Self

import psycopg

from benchmarks.appends import Append

# The columns, defaults and indexes of `events`.
TABLE: Final = """
CREATE TABLE raw_events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    stream text NOT NULL,
    version bigint NOT NULL,
    shard smallint NOT NULL,
    type text NOT NULL,
    schema smallint NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (stream, version)
)
"""
_ROW: Final = "(%b, %b, %b, %b, %b, %b::text::jsonb, %b::text::jsonb)"


class RawInsert:
    """A prepared statement for each append, on a connection that each writer has for itself.

    It checks no version: a wrong one offends the unique index.
    """

    name = "raw insert"

    def __init__(self, url: str, *, writers: int) -> None:
        self._url = url
        self._writers = writers
        self._stack = AsyncExitStack()
        self._connections: list[psycopg.AsyncConnection] = []

    async def __aenter__(self) -> Self:
        for _ in range(self._writers):
            connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, prepare_threshold=1
            )
            await self._stack.enter_async_context(connection)
            self._connections.append(connection)
        await self._connections[0].execute(TABLE)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def write(self, appends: Sequence[Append], writer: int) -> None:
        connection = self._connections[writer]
        for append in appends:
            rows = ", ".join([_ROW] * len(append.rows))
            values = [value for row in append.rows for value in row]
            await connection.execute(
                "INSERT INTO raw_events (stream, version, shard, type, schema, data, metadata)"
                f" VALUES {rows}",
                values,
            )
