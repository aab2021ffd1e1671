"""How the console calls the routes of the HTTP API: in the process, as functions."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from fastapi import Request
from sqlalchemy import select

from handrail.eventstore.tables import streams
from handrail.http.dependencies import Services
from handrail.http.four_eyes import SecondPerson
from handrail.kernel import stream_name

_WAITED: Final = 2.0  # seconds
_PAUSE: Final = 0.03


def second_person(
    request: Request,
    services: Services,
    path: str,
    *,
    key: str | None = None,
    approves: str | None = None,
) -> SecondPerson:
    """Of the request `POST path` of the API, which a form stands for: what is proposed here can be
    approved there, and what is proposed there can be approved here.
    """
    as_api = Request({**request.scope, "method": "POST", "path": path}, request.receive)
    return SecondPerson(as_api, services, key, approves)


async def caught_up(services: Services, saga: str) -> None:
    """Waits, not for long, until the board shows what the stream of a saga says: what a page then
    shows has what the request before it did.
    """
    board, name = services.app.saga_board.table, stream_name("saga", saga)
    query = select(
        select(streams.c.version).where(streams.c.name == name).scalar_subquery(),
        select(board.c.version).where(board.c.saga == saga).scalar_subquery(),
    )
    deadline = time.monotonic() + _WAITED
    while time.monotonic() < deadline:
        async with services.database.connection() as connection:
            stored, shown = (await connection.execute(query)).one()
        if stored is None or (shown is not None and shown >= stored):
            return
        await asyncio.sleep(_PAUSE)
