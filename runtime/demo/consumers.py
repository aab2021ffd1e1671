"""Other services in the demo: each gets every event that it wants, by whatever way events come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from runtime.app import HANDRAIL

_PATIENCE: Final = 60.0
_LOOK: Final = 0.2


@dataclass(frozen=True)
class Consumed:
    """The events of the store that a consumer wants, and those that had their effect there."""

    consumer: str
    wanted: int
    handled: int

    @property
    def complete(self) -> bool:
        return self.handled == self.wanted


async def consumed(database_url: str) -> Sequence[Consumed]:
    """Waits, within reason, until all have everything."""
    deadline = time.monotonic() + _PATIENCE
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        while True:
            found = [
                Consumed(one.name, *await _counts(connection, one.name, sorted(one.types)))
                for one in HANDRAIL.consumers
            ]
            if all(one.complete for one in found) or time.monotonic() > deadline:
                return found
            await asyncio.sleep(_LOOK)


async def _counts(
    connection: psycopg.AsyncConnection, name: str, types: Sequence[str]
) -> tuple[int, int]:
    cursor = await connection.execute(
        "SELECT count(*), count(i.id) FROM events e LEFT JOIN inbox i"
        " ON i.consumer = %s AND i.id = e.stream || '/' || e.version WHERE e.type = ANY (%s)",
        (name, list(types)),
    )
    [(wanted, handled)] = await cursor.fetchall()
    return wanted, handled
