"""Reads, bounded in time: a database that does not answer becomes an answer of ours.

Only the database's own time counts. Who waits for a free connection waits for other requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from weakref import WeakKeyDictionary

import structlog
from psycopg import errors as postgres
from sqlalchemy import Engine, QueuePool, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.problems import Problem, unavailable
from api.turns import Turns
from eventstore.identity import Refused, refused_in

LIMIT: Final = 5.0  # seconds
_WITHOUT_POOL: Final = 100
"""How many connections there may be at the same time, where no pool says so."""
_log = structlog.get_logger(__name__)


_TURNS: Final = WeakKeyDictionary[Engine, Turns]()
"""Of each pool of connections: whoever finds none free waits in front of it, and not in it."""


_SAID: Final = [""]


class Database:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._turns = _TURNS.setdefault(engine.sync_engine, Turns(_size(engine)))

    @asynccontextmanager
    async def connection(self, limit: float = LIMIT) -> AsyncIterator[AsyncConnection]:
        """For a few short queries; each commits by itself.

        `limit` is for those, and for connecting: how long other requests keep the connections is
        another matter, and another problem.
        """
        async with self._turns.taken(), bounded(limit), self.engine.connect() as connection:
            yield connection

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """As an engine does."""
        return self.connection()


def _size(engine: AsyncEngine) -> int:
    pool = engine.pool
    return pool.size() if isinstance(pool, QueuePool) else _WITHOUT_POOL


@asynccontextmanager
async def bounded(limit: float = LIMIT) -> AsyncIterator[None]:
    """Raises Problem where the database cannot be asked, or takes longer than `limit` seconds."""
    try:
        async with asyncio.timeout(limit):
            yield
    except TimeoutError:
        raise unavailable("database-unavailable", "PostgreSQL did not answer in time") from None
    except exc.TimeoutError:  # of the pool, where others take from it beside us
        raise unavailable("too-busy", "no connection to PostgreSQL became free in time") from None
    except (exc.OperationalError, exc.InterfaceError) as error:
        if refused := refused_in(error):
            raise other_store(refused) from None
        _log.warning("database unavailable", error=str(error.orig))
        raise unavailable("database-unavailable", "PostgreSQL cannot be reached") from None
    except exc.ProgrammingError as error:
        if isinstance(error.orig, postgres.UndefinedTable):
            raise _without_read_models() from None
        raise


def other_store(refused: Refused) -> Problem:
    """It is logged once, and not for every request."""
    if str(refused) != _SAID[-1]:
        _SAID[:] = [str(refused)]
        _log.error("no connection", why=str(refused))
    return unavailable("other-store", str(refused))


def _without_read_models() -> Problem:
    return unavailable("read-model-behind", "there are no read models yet: start a projector")
