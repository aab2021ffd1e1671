"""Connections as the event store wants them."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import orjson
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

from handrail.eventstore.identity import ADOPT, LOOK, NOT_MIGRATED, NewTimeline, Refused, Standing

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

_log = structlog.get_logger(__name__)


SWITCH_ROLE: Final = (
    "SELECT set_config('role', %s, false) WHERE pg_has_role(session_user, %s, 'MEMBER')"
)
"""Its parameters are the role, twice. A login that cannot become it is that of one process."""


class StoreConnection(AsyncConnection[TupleRow]):
    epoch: int = 0
    """The one of the store that it has come to. 0: the store knows none."""
    first_position: int = 0
    """Of that epoch."""
    refusal: Refused | None = None
    """Why it is given to nobody."""
    is_settled: bool = False
    """Whether it has come to a store. In a database without one, a dump may be restored later."""


class StorePool(Pool):
    """Gives out connections to the store that was adopted, and no others.

    A connection to another one stays in the pool, and is looked at again whenever somebody wants
    it: so each is told at once why there is none, and all go on once an operator has decided.
    """

    epoch: int = 0
    """The newest that a connection of it has come to."""
    new_timeline: NewTimeline = "stop"
    _said: str = ""

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109  # as above
        """Raises Refused. A connection whose server is gone is given to nobody."""
        connection = await super().getconn(timeout)
        while _is_gone(connection):
            await connection.close()
            await self.putconn(connection)  # which makes another one in its place
            connection = await super().getconn(timeout)
        if isinstance(connection, StoreConnection) and (
            connection.refusal or not connection.is_settled
        ):
            try:
                await self.look(connection)
            except BaseException:
                await self.putconn(connection)
                raise
            if connection.refusal:
                await self.putconn(connection)
                raise connection.refusal.with_traceback(None)
        return connection

    async def look(self, connection: StoreConnection) -> None:
        """Whether this is the store that was adopted, noted at the connection."""
        try:
            connection.refusal = await self._refusal(connection)
            connection.is_settled = True
        except NOT_MIGRATED:
            connection.refusal = None
        self._say(str(connection.refusal or ""))
        self.epoch = max(self.epoch, connection.epoch)

    async def _refusal(self, connection: StoreConnection) -> Refused | None:
        standing = await _standing(connection)
        if standing.is_promoted and self.new_timeline == "adopt":
            by = f"{self.name} at {socket.gethostname()}, pid {os.getpid()}"
            try:
                await connection.execute(ADOPT, (by,))
            except psycopg.Error as error:
                _log.error("new timeline not adopted", error=str(error))
            else:
                standing = await _standing(connection)
                _log.warning("a new timeline was adopted", epoch=standing.epoch)
        connection.epoch, connection.first_position = standing.epoch, standing.first_position
        return standing.refusal

    def _say(self, refusal: str) -> None:
        """Once, and not for everybody who wants a connection."""
        if refusal and refusal != self._said:
            _log.error("no connection", pool=self.name, why=refusal)
        elif self._said and not refusal:
            _log.info("connections again", pool=self.name)
        self._said = refusal


@asynccontextmanager
async def open_pool(
    url: str | Callable[[], str],
    *,
    role: str = "",
    size: int = 8,
    name: str = "handrail",
    new_timeline: NewTimeline = "stop",
    synchronous_commit: str = "",
) -> AsyncIterator[Pool]:
    """A pool of autocommitting connections, so that a statement alone is one round trip.

    `role` is the role that every connection takes on whose login may: an owner's, which can do more
    than the application may. A process that has a login of its own stays what it is; so does every
    one where it is empty. A `url` that is a function is asked for each new connection.
    `synchronous_commit` is how far a commit has to have come before it is one; empty keeps what the
    server says, where that is not `off`.

    Whoever wants a connection is told Refused where the server is not the one the store was on, or
    a standby. With `new_timeline` as `adopt`, a promoted standby is adopted.
    """

    async def configure(connection: Connection) -> None:
        set_json_loads(orjson.loads, connection)
        set_json_dumps(orjson.dumps, connection)
        if role:
            await connection.execute(SWITCH_ROLE, (role, role))
        await pool.look(cast("StoreConnection", connection))

    pool = StorePool(
        url,
        connection_class=StoreConnection,
        kwargs=connection_options(name, synchronous_commit),
        configure=configure,
        min_size=1,
        max_size=size,
        timeout=10,
        reconnect_timeout=0,
        open=False,
        name=name,
    )
    pool.new_timeline = new_timeline
    async with pool:
        yield pool


def _is_gone(connection: Connection) -> bool:
    """Without a round trip: a server that has gone has closed its end, and one that goes says so
    first. Nothing else comes on a connection that is at rest but what changed in its settings.
    """
    if connection.closed:
        return True
    said = select.poll()
    said.register(connection.fileno(), select.POLLIN)
    return bool(said.poll(0))


def connection_options(name: str, synchronous_commit: str = "") -> dict[str, Any]:
    options = "-c timezone=UTC"
    if synchronous_commit:
        options += f" -c synchronous_commit={synchronous_commit}"
    return {
        "autocommit": True,
        "prepare_threshold": 1,
        "application_name": name,
        "connect_timeout": 5,
        "options": options,
    }


def epoch_of(connection: Connection) -> int:
    """Of the store that it has come to. 0: nobody has looked, or there is none."""
    return getattr(connection, "epoch", 0)


def first_position_of(connection: Connection) -> int:
    """Of the epoch that it has come to: what has a lower one is of an earlier epoch."""
    return getattr(connection, "first_position", 0)


async def _standing(connection: Connection) -> Standing:
    found = await connection.execute(LOOK)
    [row] = await found.fetchall()
    return Standing.of(row)
