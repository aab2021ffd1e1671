"""Reads, bounded in time: a database that does not answer becomes an answer of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from psycopg import errors as postgres
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.problems import Problem, unavailable

LIMIT: Final = 5.0  # seconds
_log = structlog.get_logger(__name__)


class Database:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def connection(self, limit: float = LIMIT) -> AsyncIterator[AsyncConnection]:
        """For a few short queries; each commits by itself."""
        async with bounded(limit), self.engine.connect() as connection:
            yield connection


@asynccontextmanager
async def bounded(limit: float = LIMIT) -> AsyncIterator[None]:
    """Raises Problem where the database cannot be asked, or takes longer than `limit` seconds."""
    try:
        async with asyncio.timeout(limit):
            yield
    except (TimeoutError, exc.TimeoutError):
        raise unavailable("database-unavailable", "PostgreSQL did not answer in time") from None
    except (exc.OperationalError, exc.InterfaceError) as error:
        _log.warning("database unavailable", error=str(error.orig))
        raise unavailable("database-unavailable", "PostgreSQL cannot be reached") from None
    except exc.ProgrammingError as error:
        if isinstance(error.orig, postgres.UndefinedTable):
            raise _without_read_models() from None
        raise


def _without_read_models() -> Problem:
    return unavailable("read-model-behind", "there are no read models yet: start a projector")
