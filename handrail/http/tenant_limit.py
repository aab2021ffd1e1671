"""How many sagas of one tenant may run at the same time, over all processes of the API.

Every saga takes one of its tenant's places and never gives it back: whoever finds all of them
taken looks on the board which of those sagas still run, and frees the others'. So nobody has to be
alive for a place to become free. What is parked, or awaits an answer, holds none.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from weakref import WeakValueDictionary

import structlog
from sqlalchemy import (
    Executable,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from handrail.eventstore.tables import saga_places
from handrail.http.admission import Turns
from handrail.http.database import Database
from handrail.http.problems import Problem
from handrail.tenant_word import too_many

_RUNS: Final = ("running", "compensating")
_UNSEEN: Final = timedelta(seconds=60)
"""How long a saga that is not on the board keeps its place: nobody knows whether it began."""
_COME_BACK: Final = (3, 9)
"""Seconds, at random between these: who is refused together should not come back together, and even
a refusal takes the processor's time from the others."""
_STAYS_FULL: Final = 0.25
"""Seconds for which this process believes that a tenant has no place left: a sale has dozens of
requests a second refused, and each would look.
"""
_log = structlog.get_logger(__name__)


class _Gate:
    """Where the requests for one tenant's places come one after the other."""

    def __init__(self) -> None:
        self.turns = Turns(1)
        self.full = False

    def close(self) -> None:
        self.full = True
        # The timer keeps the gate, which is forgotten when nobody waits at it any more.
        asyncio.get_running_loop().call_later(_STAYS_FULL, self.open)

    def open(self) -> None:
        self.full = False


class TenantLimit:
    def __init__(self, database: Database, bound: int, board: Table, word: str) -> None:
        """`bound` is for each tenant; 0: there is none. `board` is the read model of sagas, and
        `word` what the App calls a tenant.
        """
        self._database = database
        self._bound = bound
        self._taking = _taking(bound, board)
        self._refusal = too_many(word)
        self._gates: WeakValueDictionary[str, _Gate] = WeakValueDictionary()

    @asynccontextmanager
    async def held(self, tenant: str, saga: str) -> AsyncIterator[None]:
        """A place for a saga that begins inside the block; it is free again where that fails.

        The same saga twice takes one place, and only who took it gives it back. Raises Problem
        where the tenant has none left.
        """
        new = bool(self._bound) and await self._take(tenant, saga)
        try:
            yield
        except BaseException as failure:
            begun = isinstance(failure, Problem) and failure.slug == "idempotency-in-flight"
            if new and not begun:
                await self._give_back(tenant, saga)
            raise

    async def _take(self, tenant: str, saga: str) -> bool:
        """Whether the saga had none before."""
        gate = self._gates.setdefault(tenant, _Gate())
        # As many as there are places ask already: for another one there will be none.
        if not gate.full and gate.turns.asking < self._bound:
            async with gate.turns.taken():
                if not gate.full:
                    async with self._database.connection() as connection:
                        asked = {"of": tenant, "by": saga}
                        taken = await connection.execute(self._taking, asked)
                        if (place := taken.first()) is not None:
                            return bool(place.is_new)
                    gate.close()
        said = f"{self._bound} sagas of {tenant} are being processed"
        raise Problem(self._refusal, said, retry_after=random.randint(*_COME_BACK))  # noqa: S311  # no secret

    async def _give_back(self, tenant: str, saga: str) -> None:
        mine = (saga_places.c.tenant == tenant) & (saga_places.c.saga == saga)
        try:
            async with self._database.connection() as connection:
                await connection.execute(delete(saga_places).where(mine))
            if gate := self._gates.get(tenant):
                gate.open()
        except Problem as problem:
            _log.warning("place not given back", saga=saga, reason=problem.detail)


def _taking(bound: int, board: Table) -> Executable:
    """One statement: a place `of` a tenant is taken `by` a saga.

    It looks at the board only where all places are taken.
    Statements that run at the same moment do not see each other, so together they may take as many
    places too many as there are processes of the API: in each of them they run one at a time.
    """
    tenant, saga = bindparam("of", type_=Text), bindparam("by", type_=Text)
    others = and_(saga_places.c.tenant == tenant, saga_places.c.saga != saga)
    taken = select(func.count()).where(others).scalar_subquery()
    place = saga_places.outerjoin(board, board.c.saga == saga_places.c.saga)
    unseen = and_(board.c.saga.is_(None), saga_places.c.taken_at < func.clock_timestamp() - _UNSEEN)
    idle = (
        select(saga_places.c.saga)
        .select_from(place)
        .where(others, taken >= bound, or_(board.c.status.not_in(_RUNS), unseen))
        # Whoever else frees places at this moment frees these.
        .with_for_update(of=saga_places, skip_locked=True)
    )
    freed = (
        delete(saga_places)
        .where(saga_places.c.tenant == tenant, saga_places.c.saga.in_(idle))
        .returning(saga_places.c.saga)
        .cte("freed")
    )
    free = taken - select(func.count()).select_from(freed).scalar_subquery() < bound
    new = insert(saga_places).from_select(["tenant", "saga"], select(tenant, saga).where(free))
    return new.on_conflict_do_update(
        constraint="saga_places_pkey", set_={"taken_at": func.clock_timestamp()}
    ).returning((literal_column("saga_places.xmax") == 0).label("is_new"))
