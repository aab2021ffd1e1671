"""Announces a process for as long as it runs: what it reads, and which forms it may write."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, cast

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from handrail.eventstore.codec import Codec
from handrail.eventstore.identity import refused_in
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.write_levels import BEATS_EVERY, Announcer, CannotRead
from handrail.sagas.shapes import SagaShapes
from handrail.settings import Settings

_log = structlog.get_logger(__name__)

_FIRST: Final = 2.0
"""Seconds for the first sign of life, before the process goes on and writes the oldest forms."""

Connects = Callable[[], AbstractAsyncContextManager[Connection]]


def of_pool(pool: Pool) -> Connects:
    return cast("Connects", pool.connection)


def of_engine(engine: AsyncEngine) -> Connects:
    """Connections of the driver, lent by an engine."""

    @asynccontextmanager
    async def connected() -> AsyncIterator[Connection]:
        async with engine.connect() as connection:
            raw: Any = await connection.get_raw_connection()
            yield raw.driver_connection

    return connected


@asynccontextmanager
async def announced(
    connects: Connects,
    codec: Codec,
    settings: Settings,
    kind: str,
    stop: asyncio.Event,
    *,
    shapes: SagaShapes | None = None,
) -> AsyncIterator[Announcer]:
    """Raises CannotRead at once, or at the end once it has set `stop`, where this release cannot
    read what may be written. `shapes` of sagas are kept fresh, where the process begins or runs
    any. As long as the database is away, the oldest forms are written.
    """
    announcer = Announcer(
        codec,
        process=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        kind=kind,
        release=settings.release or settings.build_id or "",
        raises_after=settings.raise_levels_after_seconds
        if settings.raise_levels == "itself"
        else None,
        shapes=shapes or SagaShapes({}),
    )
    with contextlib.suppress(TimeoutError, psycopg.Error, SQLAlchemyError):
        async with asyncio.timeout(_FIRST):
            await _beat(connects, announcer)
    left = asyncio.Event()
    beating = asyncio.create_task(_go_on(connects, announcer, left, stop))
    try:
        yield announcer
    finally:
        left.set()
        beating.cancel()
        [ended] = await asyncio.gather(beating, return_exceptions=True)
        with contextlib.suppress(Exception):  # otherwise its row runs out by itself
            async with asyncio.timeout(1), connects() as connection:
                await announcer.leave(connection)
    if isinstance(ended, CannotRead):
        raise ended


async def _go_on(
    connects: Connects, announcer: Announcer, left: asyncio.Event, stop: asyncio.Event
) -> None:
    # A cancelled statement may end in an ordinary error: being cancelled is not enough to end.
    while not left.is_set():
        await asyncio.sleep(BEATS_EVERY)
        try:
            await _beat(connects, announcer)
        except CannotRead as error:
            _log.error("this release cannot read what may be written", detail=str(error))
            stop.set()
            raise
        except Exception as error:  # noqa: BLE001  # the next time may be better
            if not refused_in(error):
                _log.warning("process not announced", error=repr(error))


async def _beat(connects: Connects, announcer: Announcer) -> None:
    async with connects() as connection:
        for form in await announcer.beat(connection):
            _log.info("write level raised", event=form.name, version=form.version)
