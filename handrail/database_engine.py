"""Reading from PostgreSQL through SQLAlchemy, which knows the tables of the read models."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import orjson
from sqlalchemy import URL, event, exc, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from handrail.database_visibility import ConfinedCursor
from handrail.eventstore.identity import NewTimeline, refuse_another_store
from handrail.eventstore.pool import SWITCH_ROLE, Connection

_SETTLED: Final = "handrail.has_come_to_a_store"


async def driver_connection(connection: AsyncConnection) -> Connection:
    """The driver's own connection, for statements that the API shares with commands."""
    raw = await connection.get_raw_connection()
    return cast("Connection", raw.driver_connection)


def _driven(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")


@asynccontextmanager
async def open_engine(
    url: str | Callable[[], str],
    *,
    role: str = "",
    size: int = 16,
    name: str = "handrail api",
    new_timeline: NewTimeline = "stop",
    synchronous_commit: str = "",
) -> AsyncIterator[AsyncEngine]:
    """Every statement commits by itself, and none takes longer than seconds. A `url` that is a
    function is asked for each new connection.

    Its connections raise Refused, as `orig` of an OperationalError, where the server is not the one
    the store was on. For `new_timeline` and `synchronous_commit` see `eventstore.pool.open_pool`.
    """
    options = "-c statement_timeout=5000"
    if synchronous_commit:
        options += f" -c synchronous_commit={synchronous_commit}"
    engine = create_async_engine(
        _driven(url() if callable(url) else url),
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # errors are logged
        pool_size=size,
        max_overflow=0,
        pool_timeout=3,
        # The one that was used last has what it needs in its caches.
        pool_use_lifo=True,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "connect_timeout": 2,
            "application_name": name,
            "options": options,
            "cursor_factory": ConfinedCursor,
        },
    )

    if callable(url):

        @event.listens_for(engine.sync_engine, "do_connect")
        def as_of_now(dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
            _, found = dialect.create_connect_args(_driven(url()))
            options.update(found)

    @event.listens_for(engine.sync_engine, "checkout")
    def is_alive(connection: Any, record: Any, _proxy: Any) -> None:
        """In place of the pool's own ping, which is a round trip before every statement.

        A server that has gone has closed its end, and one that is about to says so first.
        """
        driver, said = connection.driver_connection, select.poll()
        if not driver.closed:
            said.register(driver.fileno(), select.POLLIN)
        if driver.closed or said.poll(0):
            raise exc.DisconnectionError
        if not record.info[_SETTLED]:
            record.info[_SETTLED] = refuse_another_store(connection, new_timeline, name)

    @event.listens_for(engine.sync_engine, "connect")
    def become(connection: Any, record: Any) -> None:
        if role:
            with connection.cursor() as cursor:
                cursor.execute(SWITCH_ROLE, (role, role))
            connection.commit()
        record.info[_SETTLED] = refuse_another_store(connection, new_timeline, name)

    try:
        yield engine
    finally:
        await engine.dispose()
