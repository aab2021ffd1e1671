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
from sqlalchemy import Engine, QueuePool, exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from handrail.access.principal import EVERYTHING, Visibility
from handrail.database_visibility import seen_by
from handrail.eventstore.identity import Refused, refused_in
from handrail.http.admission import Turns
from handrail.http.problems import Problem, unavailable

LIMIT: Final = 5.0  # seconds
_WITHOUT_POOL: Final = 100
"""How many connections there may be at the same time, where no pool says so."""
_CHANGED_UNDERNEATH: Final = (
    "cached plan must not change result type",
    "could not open relation with OID",
)
"""What PostgreSQL says where a table was exchanged between a statement's plan and its execution."""
_INSTALLED: Final = text("SELECT to_regclass('public.read_models') IS NOT NULL")
_log = structlog.get_logger(__name__)


_TURNS: Final = WeakKeyDictionary[Engine, Turns]()
"""Of each pool of connections: whoever finds none free waits in front of it, and not in it."""


_SAID: Final = [""]


class Database:
    """`visible` is what statements see that are no principal's, such as those of metrics: it is
    said where a database is made, and everywhere else a principal's visibility is given.
    """

    def __init__(self, engine: AsyncEngine, visible: Visibility = EVERYTHING) -> None:
        self.engine = engine
        self.visible = visible
        self._turns = _TURNS.setdefault(engine.sync_engine, Turns(_size(engine)))

    @asynccontextmanager
    async def connection(
        self, limit: float = LIMIT, *, visibility: Visibility | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """For a few short queries; each commits by itself, and sees what `visibility` says.

        `limit` is for those, and for connecting: how long other requests keep the connections is
        another matter, and another problem.
        """
        try:
            async with self._turns.taken(), bounded(limit), self.engine.connect() as connection:
                try:
                    with seen_by(connection, self.visible if visibility is None else visibility):
                        yield connection
                except exc.DBAPIError as error:
                    if _of_another_version(error):
                        # What it has prepared is of tables that are gone.
                        await connection.invalidate()
                    raise
        except _TableMissing:
            raise await self._missing(limit) from None

    @asynccontextmanager
    async def snapshot(self, limit: float = LIMIT) -> AsyncIterator[AsyncConnection]:
        """For several queries of one answer: they read the database as of one moment, and change
        nothing. It costs two round trips more than `connection`.
        """
        async with self.connection(limit) as connection:
            await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            async with connection.begin():
                yield connection

    def seen_by(self, visibility: Visibility) -> Database:
        """The same database, as a principal sees it."""
        return Database(self.engine, visibility)

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """As an engine does."""
        return self.connection()

    async def _missing(self, limit: float) -> Problem:
        """Before read models are installed there is none; later a table is missing for others."""
        async with bounded(limit), self.engine.connect() as connection:
            installed = (await connection.execute(_INSTALLED)).scalar_one()
        return _exchanged() if installed else _without_read_models()


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
    except exc.DBAPIError as error:
        if not _of_another_version(error):
            raise
        _log.warning("a table is of another version", error=str(error.orig))
        if isinstance(error.orig, postgres.UndefinedTable):
            raise _TableMissing("read-model-behind", "a table is missing", retry_after=2) from None
        raise _exchanged() from None


class _TableMissing(Problem):
    """Why, only the database knows."""


def _of_another_version(error: exc.DBAPIError) -> bool:
    """The tables changed under the statement, or are those of other code than this."""
    match error.orig:
        case postgres.UndefinedTable() | postgres.UndefinedColumn():
            return True
        case postgres.FeatureNotSupported() | postgres.InternalError_():
            return any(one in str(error.orig) for one in _CHANGED_UNDERNEATH)
        case _:
            return False


def _exchanged() -> Problem:
    said = "a table is of another version than this process: read models are being exchanged"
    return Problem("read-model-exchanged", said, retry_after=5)


def other_store(refused: Refused) -> Problem:
    """It is logged once, and not for every request."""
    if str(refused) != _SAID[-1]:
        _SAID[:] = [str(refused)]
        _log.error("no connection", why=str(refused))
    return unavailable("other-store", str(refused))


def _without_read_models() -> Problem:
    return unavailable("read-model-behind", "there are no read models yet: start a projector")
