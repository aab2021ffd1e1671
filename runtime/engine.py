"""Reading from PostgreSQL through SQLAlchemy, which knows the tables of the read models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from psycopg import sql
from sqlalchemy import event, make_url
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
        pool_pre_ping=True,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "connect_timeout": 2,
            "application_name": name,
            "options": "-c statement_timeout=5000",
        },
    )
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
