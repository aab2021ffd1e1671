"""Connections to the store, as the settings say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, cast

import psycopg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from handrail.database_engine import open_engine
from handrail.eventstore.identity import OtherStore
from handrail.eventstore.pool import Connection, Pool, open_pool
from handrail.settings import Settings

_log = structlog.get_logger(__name__)

_FIRST: Final = 2.0
"""Seconds a process that starts waits for its first connection, before it goes on without one."""
_MAY_BECOME_MORE: Final = (
    "SELECT session_user FROM pg_roles r WHERE r.rolname = session_user AND (r.rolsuper"
    " OR pg_has_role(r.oid, (SELECT c.relowner FROM pg_class c"
    "  WHERE c.relname = 'events' AND c.relnamespace = 'public'::regnamespace), 'MEMBER'))"
)


@asynccontextmanager
async def store_pool(settings: Settings, *, size: int, name: str) -> AsyncIterator[Pool]:
    """Raises OtherStore at once where the server is not the one the store was on. A pool that is
    open already tells whoever wants a connection, until an operator has decided.
    """
    async with open_pool(
        lambda: cast("str", settings.current("database_url")),
        role=settings.database_role or "",
        size=size,
        name=name,
        new_timeline=settings.new_timeline,
        synchronous_commit=settings.synchronous_commit or "",
    ) as pool:
        try:
            async with pool.connection(timeout=_FIRST) as connection:
                await _warn_of_more(connection)
        except OtherStore:
            raise
        except psycopg.OperationalError:
            pass  # it may come yet, and is waited for where it is needed
        yield pool


async def _warn_of_more(connection: Connection) -> None:
    found = await (await connection.execute(_MAY_BECOME_MORE)).fetchone()
    if found:
        _log.warning(
            "this login may become the owner of the database: give the process one of its own",
            login=found[0],
            see="docs/database.md",
        )


def store_engine(
    settings: Settings, *, size: int = 16, name: str = "handrail api"
) -> AbstractAsyncContextManager[AsyncEngine]:
    return open_engine(
        lambda: cast("str", settings.current("database_url")),
        role=settings.database_role or "",
        size=size,
        name=name,
        new_timeline=settings.new_timeline,
        synchronous_commit=settings.synchronous_commit or "",
    )
