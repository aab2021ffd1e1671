"""Follows the feed and writes it to the lake, batch by batch, each event once.

1. The store fixes which events the next batch has, and its number (`batches.cut`).
2. The lake gets them and the number in one commit of its log (`Lake.write`).
3. The store notes that, and moves the checkpoints behind them (`batches.settle`).

Killed before 2 is through, the next process writes the same batch; killed after it, the next one
finds the number in the log and writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from handrail.background import background_tasks, wait_at_most
from handrail.eventstore import checkpoints, newer_code_waits
from handrail.eventstore.checkpoints import Checkpoint, LostLease
from handrail.eventstore.codec import UnknownMessage
from handrail.eventstore.identity import refused_in
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import Recorded
from handrail.eventstore.subscriptions.heartbeats import Owners
from handrail.eventstore.subscriptions.registration import enroll
from handrail.lake import batches
from handrail.lake.batches import Batch
from handrail.lake.columns import Column, as_table
from handrail.lake.leader_lease import FOLLOWER, take
from handrail.lake.table import Lake
from handrail.messaging.relay.routing import Routing

_log = structlog.get_logger(__name__)

_TIDY_EVERY: Final = 32  # batches
_VACUUM_EVERY: Final = timedelta(days=1)
_FIRST_REST: Final = 0.5
_LONGEST_REST: Final = 30.0


class OtherLake(Exception):
    """The folder does not hold what was exported from this store. Says what to do."""


@dataclass
class Figures:
    batches: int = 0
    events: int = 0
    last_batch: int = 0
    on_turn: bool = False


class Exporter:
    """`limit` is how many events a batch has at most, `every` how long events are gathered for one,
    and `lease` how long a process is thought alive without a sign of life, both in seconds.
    """

    def __init__(
        self,
        pool: Pool,
        lake: Lake,
        routing: Routing,
        *,
        columns: Sequence[Column] | None = None,
        every: float = 30.0,
        limit: int = 20_000,
        lease: float = 5.0,
    ) -> None:
        self._pool = pool
        self._lake = lake
        self._routing = routing
        self._columns = columns
        self._every, self._limit = every, limit
        self._lease = timedelta(seconds=lease)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._owners = Owners(self._owner, self._lease)
        self._vacuum_at = datetime.now(UTC)
        self._left: int | None = None
        """The batch that waits for a process of newer code."""
        self.figures = Figures()
        self.working = asyncio.Event()
        """Set once it exports, or knows that another process does."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Raises OtherLake, and BatchChanged; what else goes wrong is
        waited out.
        """
        rest = _FIRST_REST
        async with self._living():
            while not stop.is_set():
                pause = self._every
                try:
                    async with self._pool.connection() as connection:
                        await self._export(connection, stop)
                    rest = _FIRST_REST
                    self.working.set()
                    if not self.figures.on_turn:
                        pause = min(self._every, self._lease.total_seconds() / 3)
                except (OtherLake, batches.BatchChanged):
                    raise
                except UnknownMessage:
                    self.working.set()
                    pause = self._lease.total_seconds() / 3
                except LostLease as lost:
                    _log.info("another process exports", detail=str(lost))
                except Exception as error:  # noqa: BLE001  # one that ends helps nobody
                    if not refused_in(error):  # which the pool says, once
                        _log.error("export rests", error=repr(error), seconds=rest)
                    pause, rest = rest, min(2 * rest, _LONGEST_REST)
                await wait_at_most(stop, pause)

    async def catch_up(self) -> bool:
        """Export what there is and tidy up; False where another process does, and goes on so.

        Raises UnknownMessage where an event is of newer code.
        """
        patience = asyncio.get_running_loop().time() + 2 * self._lease.total_seconds()
        async with self._living(), self._pool.connection() as connection:
            while True:
                await self._export(connection, asyncio.Event())
                if self.figures.on_turn:
                    await self._tidy()
                    return True
                if asyncio.get_running_loop().time() > patience:
                    return False
                await asyncio.sleep(self._lease.total_seconds() / 10)

    async def _export(self, connection: Connection, stop: asyncio.Event) -> None:
        await enroll(connection, FOLLOWER)
        if self._left and await self._still_unsettled(connection, self._left):
            self.figures.on_turn = False
            return
        self._left = None
        mine = await take(connection, self._owner, self._lease, self._owners)
        self.figures.on_turn = mine is not None
        if mine is None:
            return
        if batch := await self._unsettled(connection):
            _log.info("batch is taken up again", batch=batch.number, events=batch.events)
            events = await batches.read_again(connection, batch)
            mine = await self._write(connection, mine, batch, events)
        more = True
        while more and not stop.is_set():
            mine, batch, events = await batches.cut(
                connection, mine, self._lake.id, self._lease, self._limit
            )
            if batch is None:
                return
            mine = await self._write(connection, mine, batch, events)
            more = batch.events == self._limit

    async def _write(
        self,
        connection: Connection,
        mine: Sequence[Checkpoint],
        batch: Batch,
        events: Sequence[Recorded],
    ) -> Sequence[Checkpoint]:
        if unknown := [one for one in events if one.type not in self._routing.contexts]:
            await self._leave(connection, batch, unknown[0])
        rows = await asyncio.to_thread(as_table, events, self._routing, self._columns)
        version = await asyncio.to_thread(self._lake.write, batch.number, rows)
        mine = await batches.settle(connection, mine, batch, version, self._lease)
        await newer_code_waits.forget(connection, FOLLOWER)
        self.figures.batches += 1
        self.figures.events += batch.events
        self.figures.last_batch = batch.number
        _log.debug("exported", batch=batch.number, events=batch.events, version=version)
        if batch.number % _TIDY_EVERY == 0:
            await self._tidy()
        return mine

    async def _leave(self, connection: Connection, batch: Batch, event: Recorded) -> None:
        """Give the lease up, so that a process of newer code writes the batch; this one stands by
        until the batch is settled. Raises UnknownMessage.
        """
        self._left = batch.number
        self.figures.on_turn = False
        await newer_code_waits.note(connection, self._owner, FOLLOWER, event)
        await checkpoints.release_all(connection, self._owner)
        form = f"{event.type} v{event.schema}"
        _log.warning(
            "waits for newer code",
            subscribers=[FOLLOWER],
            form=form,
            stream=event.stream,
            position=event.position,
            batch=batch.number,
            remedy="start an exporter whose code knows it; see docs/newer-code.md",
        )
        raise UnknownMessage(form)

    async def _still_unsettled(self, connection: Connection, number: int) -> bool:
        newest = await batches.newest(connection)
        return newest is not None and newest.number == number and not newest.settled

    async def _unsettled(self, connection: Connection) -> Batch | None:
        """The batch that somebody cut and did not settle. Raises OtherLake."""
        newest = await batches.newest(connection)
        there = await asyncio.to_thread(self._lake.last_batch)
        if newest is None:
            if there:
                raise OtherLake(
                    f"the lake has {there} batches that this store does not know: give a new lake"
                    " an empty folder (HANDRAIL_LAKE_DIR)"
                )
            return None
        if newest.lake != self._lake.id:
            raise OtherLake(
                "the store was exported to another folder than HANDRAIL_LAKE_DIR: name that one,"
                " or have all exported anew after `handrail lake forget --yes`"
            )
        known = newest.number
        if there not in ({known} if newest.settled else {known - 1, known}):
            older = "the lake is older than" if there < known else "the store is older than"
            raise OtherLake(
                f"{older} the other: batch {there} is the last in the lake, {known} in the store."
                " One of them was put back; have all exported anew into an empty folder after"
                " `handrail lake forget --yes`"
            )
        return None if newest.settled else newest

    async def _tidy(self) -> None:
        today = f"{datetime.now(UTC):%F}"
        gone = await asyncio.to_thread(self._lake.compact, today)
        if datetime.now(UTC) >= self._vacuum_at:
            self._vacuum_at = datetime.now(UTC) + _VACUUM_EVERY
            gone += await asyncio.to_thread(self._lake.vacuum)
        _log.debug("tidied", files_gone=gone)

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        """Others see meanwhile that this process is alive, and afterwards that it is gone."""
        try:
            async with background_tasks(self._live()):
                yield
        finally:
            with contextlib.suppress(Exception):  # otherwise the lease runs out by itself
                async with self._pool.connection(timeout=1) as connection:
                    await checkpoints.release_all(connection, self._owner)

    async def _live(self) -> None:
        every = self._lease.total_seconds() / 4
        await asyncio.sleep(every)
        await run_periodically(self._renew, every, _log, "lease not renewed")

    async def _renew(self) -> None:
        async with self._pool.connection() as connection:
            await checkpoints.renew(connection, self._owner, self._lease)
