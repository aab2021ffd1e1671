"""What the activities that intervene in many sagas need: the board, and a way to the sagas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities import intervening
from domain.sagas.interventions import Which
from eventstore.store import EventStore
from projections import saga_board
from projections.saga_board import Waits
from workflows.messages import Intervention


class SagaBoard:
    """The read model, as the activities ask for it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def found(self, which: Which) -> tuple[datetime, int]:
        async with self._engine.connect() as connection:
            now: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
            until = now - timedelta(seconds=which.older_than_seconds)
            stakes = await saga_board.parked_stakes(connection, _waits(which, until))
        return until, sum(one.count for one in stakes)

    async def page(
        self, which: Which, until: datetime, after: str, limit: int
    ) -> Sequence[tuple[str, str]]:
        async with self._engine.connect() as connection:
            return await saga_board.parked_steps(
                connection, _waits(which, until), after=after, limit=limit
            )


def activities(
    store: EventStore, client: Client, engine: AsyncEngine
) -> Sequence[Callable[..., Any]]:
    return intervening.activities(store, client, SagaBoard(engine), Intervention)


def _waits(which: Which, until: datetime) -> Waits:
    return Waits(
        saga_type=which.saga_type or None,
        merchant=which.merchant or None,
        step=which.step or None,
        failure=which.failure or None,
        until=until,
    )
