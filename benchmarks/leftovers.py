"""What is left undone of a number of orders, by the stores and not by the answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from handrail.eventstore.subscriptions.lag import lag

_LOOK_SECONDS = 1.0
_COMPLETED = "SELECT count(*) FROM saga_board WHERE saga_type = 'Checkout' AND status = 'completed'"


@dataclass(frozen=True)
class Leftovers:
    """Orders that were accepted and neither delivered nor taken back; sagas that have begun and
    not ended; events that followers of the feed have not seen, or have put aside.
    """

    orders: int = 0
    sagas: int = 0
    events: int = 0
    taken_back: int = 0
    """Of the orders: these are not left undone."""

    @property
    def total(self) -> int:
        return self.orders + self.sagas + self.events


async def settled(database_url: str, accepted: int, seconds: float) -> Leftovers:
    """What is left once nothing is, or that time is over."""
    deadline = time.monotonic() + seconds
    async with _engine(database_url) as engine:
        while True:
            found = await left_over(engine, accepted)
            if not found.total or time.monotonic() > deadline:
                return found
            await asyncio.sleep(_LOOK_SECONDS)


async def until_completed(database_url: str, checkouts: int, seconds: float) -> None:
    """Raises TimeoutError where the board does not show so many as completed in time."""
    deadline = time.monotonic() + seconds
    async with _engine(database_url) as engine:
        while True:
            async with engine.connect() as connection:
                found = await _count(connection, _COMPLETED)
            if found >= checkouts:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found} of {checkouts} checkouts are completed")
            await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def _engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    try:
        yield engine
    finally:
        await engine.dispose()


async def left_over(engine: AsyncEngine, accepted: int) -> Leftovers:
    async with engine.connect() as connection:
        delivered = await _count(
            connection, "SELECT count(*) FROM events WHERE type = 'ShipmentDelivered'"
        )
        taken_back = await _count(
            connection,
            "SELECT count(*) FROM saga_board WHERE saga_type = 'Checkout'"
            " AND status IN ('refused', 'compensated')",
        )
        sagas = await _count(
            connection,
            "SELECT count(*) FROM saga_board"
            " WHERE status NOT IN ('completed', 'refused', 'compensated')",
        )
        behind = sum(one.events + one.parked for one in await lag(connection))
    return Leftovers(accepted - delivered - taken_back, sagas, behind, taken_back)


async def _count(connection: AsyncConnection, query: str) -> int:
    return int((await connection.execute(text(query))).scalar_one())
