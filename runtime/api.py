"""The API process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import orjson
from psycopg import sql
from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from temporalio.client import Client
from temporalio.service import RetryConfig

from api.app import create_app
from runtime.serving import serve
from runtime.settings import Settings, require
from runtime.temporal import DATA_CONVERTER
from workflows.messages import RunOptions


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Without PostgreSQL or Temporal it starts all the same, and answers
    503 until they are there.
    """
    require(settings, "database_url", "temporal_address")
    async with open_engine(
        cast("str", settings.database_url), role=settings.database_role
    ) as engine:
        client = await lazy_client(
            cast("str", settings.temporal_address), settings.temporal_namespace
        )
        app = create_app(
            engine,
            client,
            options_of(settings),
            temporal_ui=settings.temporal_ui_url,
            stopping=stop,
        )
        await serve(app, settings, settings.api_host, settings.api_port, stop)


def options_of(settings: Settings) -> RunOptions:
    return RunOptions(
        steps=settings.step_placement,
        queue_prefix=settings.task_queue_prefix,
        deadline_seconds=settings.step_deadline_seconds,
        patience_seconds=settings.step_patience_seconds,
    )


@asynccontextmanager
async def open_engine(url: str, *, role: str = "", size: int = 16) -> AsyncIterator[AsyncEngine]:
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
            "application_name": "handrail api",
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


async def lazy_client(address: str, namespace: str) -> Client:
    """Connects when it is first needed, and gives up soon: whoever waits is told to come back."""
    return await Client.connect(
        address,
        namespace=namespace,
        data_converter=DATA_CONVERTER,
        lazy=True,
        connect_timeout=timedelta(seconds=2),
        retry_config=RetryConfig(max_elapsed_time_millis=2000),
    )
