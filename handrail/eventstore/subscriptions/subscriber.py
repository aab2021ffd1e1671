"""Follows the feed page by page, beside other processes that do the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from handrail.background import background_tasks, wait_at_most
from handrail.eventstore import checkpoints
from handrail.eventstore.checkpoints import Checkpoint, LostLease
from handrail.eventstore.feed import Cursor, Page, read_page
from handrail.eventstore.identity import refused_in
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Connection, Pool
from handrail.eventstore.store import Recorded, shard_of
from handrail.eventstore.subscriptions.leases import Leases
from handrail.eventstore.subscriptions.newer_code import Divided, NewerCode, Stop
from handrail.eventstore.subscriptions.page_handler import PageHandler
from handrail.eventstore.tables import NOTHING_SEEN

_log = structlog.get_logger(__name__)

_IDLE_FACTOR: Final = 4  # an idle one slows down to this many times its poll
_FIRST_REST: Final = 0.1
_LONGEST_REST: Final = 5.0
_WRITES_EVERY: Final = 1.0
"""Seconds between two times that it is written down how far the feed was read where there was
nothing to do. While somebody keeps an old snapshot, no row that was overwritten is cleared away.
"""


class Subscriber:
    """Any number of processes share the work. `owner` must be unique among the living.

    `poll` is how often an idle one looks for events, `lease` how long it is thought alive without a
    sign of life, both in seconds; `page` is how many events are handled together at most, and
    `history_page` how many by those who read from the beginning, where that is another number.
    """

    def __init__(
        self,
        pool: Pool,
        handler: PageHandler,
        *,
        owner: str = "",
        poll: float = 0.025,
        lease: float = 3.0,
        page: int = 1000,
        history_page: int | None = None,
    ) -> None:
        self._pool = pool
        self._handler = handler
        self._poll, self._longest = poll, poll * _IDLE_FACTOR
        self._lease = timedelta(seconds=lease)
        self._page, self._history_page = page, history_page or page
        self._leases = Leases(
            owner or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
            handler.kind,
            self._lease,
        )
        self._mine: dict[tuple[str, int], Checkpoint] = {}
        self._read_from: Connection | None = None
        self._unwritten: set[tuple[str, int]] = set()
        self._writes_every, self._write_at = _WRITES_EVERY, 0.0
        self._balance_at = 0.0
        self.reading = asyncio.Event()
        """Set once the first pages were read: the process does its work."""
        self.events_read = 0
        """How many, since it began."""
        self._resting: dict[str, tuple[float, float]] = {}
        self._newer_code = NewerCode(handler)
        self._left_at: dict[tuple[str, int], int] = {}
        """At which position each was left to newer code: the log says so once."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Trouble with the database is waited out."""
        rest = _FIRST_REST
        async with self._living():
            while not stop.is_set():
                try:
                    async with self._pool.connection() as connection:
                        await self._leases.renew(connection)
                        pause = self._poll
                        while not stop.is_set():
                            pause = self._pause_after(await self.tick(connection), pause)
                            rest = _FIRST_REST
                            self.reading.set()
                            await wait_at_most(stop, pause)
                except Exception as error:  # noqa: BLE001  # one that ends helps nobody
                    if not refused_in(error):  # which the pool says, once
                        _log.warning(
                            "follower rests",
                            kind=self._handler.kind,
                            error=repr(error),
                            seconds=rest,
                        )
                    self._balance_at = 0.0
                    await wait_at_most(stop, rest)
                    rest = min(2 * rest, _LONGEST_REST)

    async def catch_up(self) -> None:
        """Work until there is nothing to read, then leave: for tools and tests."""
        async with self._pool.connection() as connection:
            await self._leases.renew(connection)
            self._balance_at = 0.0
            self._writes_every = 0.0
            try:
                while any(await self.tick(connection)):
                    pass
            finally:
                self._writes_every = _WRITES_EVERY
        await self._leave()

    async def tick(self, connection: Connection) -> Sequence[int]:
        """One page for each group of checkpoints; answers how many events each had.

        All batches that begin in a tick end at the same snapshot, so that those who fell behind are
        together with the others again once they have caught up.
        """
        if connection is not self._read_from:
            self._forget(connection)
        if _now() >= self._balance_at:
            await self._balance(connection)
        writes = _now() >= self._write_at
        until: str | None = None
        counts = []
        for group in self._groups():
            cursor = group[0].cursor
            begins = cursor.until is None
            if begins and until:
                cursor = replace(cursor, until=until)
            shards = sorted({one.shard for one in group})
            limit = self._history_page if cursor.since == NOTHING_SEEN else self._page
            page = await read_page(connection, cursor, shards, limit)
            if {one.cursor.server for one in group} - {"", page.next.server}:
                self._forget(connection)
                break
            if begins:
                until = page.next.until or page.next.since
            counts.append(len(page.events))
            self.events_read += len(page.events)
            try:
                divided = await self._newer_code.divided(connection, group, page)
                if divided is None:
                    await self._handle(connection, group, page, writes=writes)
                else:
                    await self._handle_divided(connection, divided, writes=writes)
            except LostLease as lost:
                _log.info("lease lost", detail=str(lost))
                await self._balance(connection)
                break
        return counts

    @property
    def checkpoints_held(self) -> int:
        """How many checkpoints are its share at the moment."""
        return len(self._mine)

    def _pause_after(self, counts: Sequence[int], before: float) -> float:
        if any(count >= self._page for count in counts):
            return 0.0
        return self._poll if any(counts) else min(max(before, self._poll) * 1.2, self._longest)

    async def _handle(
        self, connection: Connection, group: Sequence[Checkpoint], page: Page, *, writes: bool
    ) -> None:
        """Checkpoints that the page has nothing for are written down only now and then, with those
        of the others where there are any: who reads on from where they were finds nothing to do.
        """
        shards = {shard_of(one.stream) for one in page.events}
        passed = [] if page.events and writes else [one for one in group if one.shard not in shards]
        if page.events:
            concerned = [one for one in group if one.shard in shards] if passed else group
            handled = await self._handler.handle(connection, concerned, page, self._lease)
            self._now_at(handled.moved)
            self._unwritten -= {one.key for one in handled.moved}
            for name, error in handled.failed.items():
                self._rest(name, error)
            self._now_at(self._only_in_memory(passed, page.next))
            if writes:
                self._write_at = _now() + self._writes_every
        else:
            self._now_at(await self._pass(connection, passed, page, writes=writes))

    async def _handle_divided(
        self, connection: Connection, divided: Divided, *, writes: bool
    ) -> None:
        """What waits for newer code is left to a process that has it, the rest goes on."""
        if divided.page.events:
            await self._handle(connection, divided.rest, divided.page, writes=writes)
        else:
            self._now_at(self._only_in_memory(divided.rest, divided.page.next))
        for stop in divided.stops:
            if moved := await self._moved_up_to(connection, stop):
                await self._leases.leave_to_newer_code(connection, moved, stop.event)
                self._say_left(moved, stop.event)
            for one in moved:
                self._mine.pop(one.key, None)
                self._unwritten.discard(one.key)

    def _say_left(self, left: Sequence[Checkpoint], event: Recorded) -> None:
        at = event.position
        names = sorted({one.projection for one in left if self._left_at.get(one.key) != at})
        self._left_at.update({one.key: at for one in left})
        if names:
            _log.warning(
                "waits for newer code",
                subscribers=names,
                form=f"{event.type} v{event.schema}",
                stream=event.stream,
                position=at,
                remedy="start a process whose code reads it; see docs/newer-code.md",
            )

    async def _moved_up_to(self, connection: Connection, stop: Stop) -> Sequence[Checkpoint]:
        """Those that stand right before the event; one that failed gets the same events again."""
        to = stop.page.next
        if not stop.page.events:
            there = [one for one in stop.checkpoints if one.cursor == to]
            ahead = [one for one in stop.checkpoints if one.cursor != to]
            if self._unwritten.isdisjoint({one.key for one in there}):
                return [*there, *await self._move(connection, ahead, to)]
            return await self._move(connection, stop.checkpoints, to)
        handled = await self._handler.handle(connection, stop.checkpoints, stop.page, self._lease)
        self._now_at(handled.moved)
        self._unwritten -= {one.key for one in handled.moved}
        for name, error in handled.failed.items():
            self._rest(name, error)
        return [one for one in handled.moved if one.cursor == to]

    async def _move(
        self, connection: Connection, ahead: Sequence[Checkpoint], to: Cursor
    ) -> Sequence[Checkpoint]:
        if not ahead:
            return ()
        answer = await checkpoints.move(connection, ahead, to, self._lease)
        return checkpoints.moved(answer, ahead, to)

    async def _pass(
        self, connection: Connection, passed: Sequence[Checkpoint], page: Page, *, writes: bool
    ) -> Sequence[Checkpoint]:
        keys = {one.key for one in passed}
        begins = passed[0].cursor.since == NOTHING_SEEN
        if not (writes or begins):
            return self._only_in_memory(passed, page.next)
        if passed[0].cursor == page.next and self._unwritten.isdisjoint(keys):
            return passed
        self._unwritten -= keys
        if not begins:
            self._write_at = _now() + self._writes_every
        return await checkpoints.move_if_appended(connection, passed, page.next, self._lease)

    def _only_in_memory(self, passed: Sequence[Checkpoint], to: Cursor) -> Sequence[Checkpoint]:
        self._unwritten |= {one.key for one in passed if one.cursor != to}
        return [replace(one, cursor=to) for one in passed]

    def _forget(self, connection: Connection) -> None:
        """What is in memory was read from another server's process than the one that answers now,
        and may be what nobody has any more: the table says how far it is.
        """
        self._mine, self._unwritten = {}, set()
        self._read_from, self._balance_at = connection, 0.0

    def _groups(self) -> Sequence[Sequence[Checkpoint]]:
        """Checkpoints that stand at the same place read on together."""
        now = _now()
        groups: dict[Cursor, list[Checkpoint]] = {}
        for checkpoint in self._mine.values():
            if self._resting.get(checkpoint.projection, (0.0, 0.0))[0] <= now:
                groups.setdefault(checkpoint.cursor, []).append(checkpoint)
        return list(groups.values())

    def _now_at(self, moved: Sequence[Checkpoint]) -> None:
        self._mine.update({one.key: one for one in moved})
        for name in {one.projection for one in moved} & self._resting.keys():
            del self._resting[name]

    def _rest(self, name: str, error: Exception) -> None:
        """Not the event's fault: leave the follower alone for a while, and try again."""
        _, pause = self._resting.get(name, (0.0, _FIRST_REST / 2))
        pause = min(2 * pause, _LONGEST_REST)
        self._resting[name] = (_now() + pause, pause)
        _log.error("follower rests", follower=name, error=repr(error), seconds=pause)

    async def _balance(self, connection: Connection) -> None:
        names = await self._handler.followers(connection)
        found = {one.key: one for one in await self._leases.balance(connection, names)}
        # Where nobody else moved it, this process may be further than it wrote down.
        self._mine = {
            key: self._mine[key]
            if key in self._mine and self._mine[key].revision == one.revision
            else one
            for key, one in found.items()
        }
        self._unwritten &= self._mine.keys()
        self._balance_at = _now() + self._lease.total_seconds() / 6

    @contextlib.asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        try:
            async with background_tasks(self._live()):
                yield
        finally:
            await self._leave()

    async def _live(self) -> None:
        every = self._lease.total_seconds() / 3
        await asyncio.sleep(every)
        await run_periodically(self._renew, every, _log, "lease not renewed")

    async def _renew(self) -> None:
        async with self._pool.connection() as connection:
            await self._leases.renew(connection)

    async def _leave(self) -> None:
        with contextlib.suppress(Exception):  # otherwise the leases run out by themselves
            async with self._pool.connection(timeout=1) as connection:
                await self._leases.leave(connection)
        self._mine, self._read_from = {}, None


def _now() -> float:
    return asyncio.get_running_loop().time()
