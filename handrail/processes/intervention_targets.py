"""What the activities that intervene in many sagas need: board, streams, a way to the sagas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, exc, exists, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from handrail.activities import bulk_intervention
from handrail.eventstore.store import EventStore
from handrail.eventstore.tables import events
from handrail.kernel import Event, stream_name
from handrail.projections import saga_board
from handrail.sagas.events import SagaParked, SagaResumed
from handrail.sagas.interventions import SagaFilter
from handrail.sagas.options import Intervention


class SagaBoard:
    """The read model and the streams of sagas, as the activities ask for them."""

    def __init__(self, engine: AsyncEngine, board: Table) -> None:
        self._engine = engine
        self._board = board

    async def found(self, which: SagaFilter) -> tuple[datetime, int]:
        async with self._engine.connect() as connection:
            now: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
            try:
                until = now - timedelta(seconds=which.older_than_seconds)
                stakes = await saga_board.parked_stakes(connection, self._board, which, until=until)
            except (exc.DataError, OverflowError, UnicodeError) as wrong:
                message = str(wrong.orig if isinstance(wrong, exc.DataError) else wrong)
                raise bulk_intervention.WrongFilter(message) from None
        return until, sum(one.count for one in stakes)

    async def page(
        self, which: SagaFilter, until: datetime, after: str, limit: int
    ) -> Sequence[tuple[str, str]]:
        async with self._engine.connect() as connection:
            return await saga_board.parked_steps(
                connection, self._board, which, until=until, after=after, limit=limit
            )

    async def has_accepted(self, saga: str, intervention: str) -> bool:
        named = events.c.data["intervention"].astext == intervention
        return await self._has_event(saga, SagaResumed, named)

    async def parked_after(self, saga: str, step: str, until: datetime) -> bool:
        later = (events.c.data["step"].astext == step) & (events.c.recorded_at > until)
        return await self._has_event(saga, SagaParked, later)

    async def _has_event(self, saga: str, what: type[Event], which: ColumnElement[bool]) -> bool:
        of_it = (events.c.stream == stream_name("saga", saga)) & (events.c.type == what.__name__)
        async with self._engine.connect() as connection:
            found = await connection.execute(select(exists().where(of_it, which)))
            return bool(found.scalar_one())


def activities(
    store: EventStore, client: Client, engine: AsyncEngine, board: Table
) -> Sequence[Callable[..., Any]]:
    return bulk_intervention.activities(store, client, SagaBoard(engine, board), Intervention)
