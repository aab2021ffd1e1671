"""Reading from PostgreSQL through SQLAlchemy, which knows the tables of the read models."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from psycopg import sql
from sqlalchemy import event, exc, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


@asynccontextmanager
async def open_engine(
    url: str, *, role: str = "", size: int = 16, name: str = "handrail api"
) -> AsyncIterator[AsyncEngine]:
    """Every statement commits by itself, and none takes longer than seconds."""
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
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
            "options": "-c statement_timeout=5000",
        },
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def is_alive(connection: Any, _record: Any, _proxy: Any) -> None:
        """In place of the pool's own ping, which is a round trip before every statement.

        A server that has gone has closed its end, and one that is about to says so first.
        """
        driver, said = connection.driver_connection, select.poll()
        if not driver.closed:
            said.register(driver.fileno(), select.POLLIN)
        if driver.closed or said.poll(0):
            raise exc.DisconnectionError

    if role:

        @event.listens_for(engine.sync_engine, "connect")
        def become(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)).as_string())
            connection.commit()

    try:
        yield engine
    finally:
        await engine.dispose()
