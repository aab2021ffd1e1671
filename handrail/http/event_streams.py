"""Live event streams: one poller reads for all of the process, and their number is bounded.

A reader that has sent everything waits here for more; the poller looks for all that wait in one
statement. A reader that is slow does not wait, so nothing is read for it and nothing queues up.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import structlog
from sqlalchemy import TextClause, text

from handrail.http.database import Database
from handrail.http.problems import Problem
from handrail.http.stream_reader import StoredEvent

AT_ONCE: Final = 500
PER_CLIENT: Final = 100
_PAGE: Final = 200
_A_LOOK: Final = 500
"""Events of one look: decoding them keeps the event loop for some milliseconds."""
_SHORTEST_PAUSE: Final = 0.02  # seconds
_LONGEST_PAUSE: Final = 0.5
_SLOWER: Final = 1.5
_SHARE: Final = 4
"""A pause is so many times as long as the look before it, whatever that took."""
_AGAIN: Final = 5  # seconds
_log = structlog.get_logger(__name__)

_NEXT: Final[TextClause] = text("""
SELECT p.epoch, n.nth, n.version, n.type, n.schema, n.data, n.metadata, n.recorded_at
FROM (SELECT coalesce(max(epoch), 1) AS epoch FROM store_epochs) AS p LEFT JOIN LATERAL (
    SELECT s.nth, e.version, e.type, e.schema, e.data, e.metadata, e.recorded_at
    FROM unnest(CAST(:streams AS text[]), CAST(:after AS bigint[]))
        WITH ORDINALITY AS s (name, after, nth)
    CROSS JOIN LATERAL (
        SELECT * FROM events e WHERE e.stream = s.name AND e.version > s.after
        ORDER BY e.version LIMIT :page
    ) e
    ORDER BY s.nth, e.version LIMIT :look
) AS n ON true
ORDER BY n.nth, n.version
""")

Place = tuple[str, int]
"""A stream, and the version of the last event that was read of it."""


@dataclass(eq=False)
class _Waiting:
    place: Place
    epoch: int
    found: asyncio.Future[Sequence[StoredEvent]]
    due: float
    pause: float = field(default=_SHORTEST_PAUSE)


class EventStreams:
    """`at_once` streams may be open in the process, `per_client` of them by one client."""

    def __init__(
        self,
        database: Database,
        stopping: asyncio.Event,
        *,
        at_once: int = AT_ONCE,
        per_client: int = PER_CLIENT,
    ) -> None:
        self._database = database
        self._stopping = stopping
        self._at_once = at_once
        self._per_client = per_client
        self._open = Counter[str]()
        self._waiting: dict[_Waiting, None] = {}  # in the order they came in
        self._polling: asyncio.Task[None] | None = None
        self._came = asyncio.Event()

    @contextmanager
    def opened(self, client: str) -> Iterator[None]:
        """Raises Problem where too many are open."""
        if self._open[client] >= self._per_client:
            said = f"{self._per_client} event streams are open from {client or 'this client'}"
            raise Problem("too-many-streams", said, retry_after=_AGAIN)
        if self._open.total() >= self._at_once:
            said = f"{self._at_once} event streams are open in this process"
            raise Problem("too-busy", said, retry_after=_AGAIN)
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    async def after(self, stream: str, version: int, epoch: int) -> Sequence[StoredEvent]:
        """The next events, as soon as there are any; none when the process stops, or the store is
        not in that epoch any more, in which the version may be another event's.

        Raises Problem where the database is away.
        """
        if self._stopping.is_set():
            return []
        waiting = _Waiting((stream, version), epoch, asyncio.Future(), monotonic())
        self._waiting[waiting] = None
        self._came.set()
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            return await waiting.found
        finally:
            self._waiting.pop(waiting, None)

    async def _poll(self) -> None:
        """As long as somebody waits, and the process is not told to stop."""
        rested = 0.0
        while self._waiting and not self._stopping.is_set():
            self._came.clear()
            due = max(rested, min(one.due for one in self._waiting))
            if (early := due - monotonic()) > 0:
                await self._roused(early)
                continue
            began = monotonic()
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001  # one that ends would leave all waiting
                self._fail(error)
            took = monotonic() - began
            rested = monotonic() + max(_SHORTEST_PAUSE, _SHARE * took)
        for waiting in self._waiting:
            _settle(waiting, [])

    async def _roused(self, seconds: float) -> None:
        """Somebody comes, or the process is told to stop, or so many seconds are over."""
        tasks = [asyncio.create_task(one.wait()) for one in (self._stopping, self._came)]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _look(self) -> None:
        wanted: dict[Place, list[_Waiting]] = {}
        for waiting in self._waiting:
            wanted.setdefault(waiting.place, []).append(waiting)
        streams, after = zip(*wanted, strict=True)
        asked = {"streams": list(streams), "after": list(after), "page": _PAGE, "look": _A_LOOK}
        async with self._database.connection() as connection:
            rows = (await connection.execute(_NEXT, asked)).all()
        found: dict[int, list[StoredEvent]] = {}
        epoch: int = rows[0].epoch
        for _, nth, version, type_, schema, data, metadata, recorded_at in rows:
            if nth is None:
                break  # nothing came
            event = StoredEvent(
                version=version,
                type=type_,
                schema_version=schema,
                data=data,
                metadata=metadata,
                recorded_at=recorded_at,
            )
            found.setdefault(nth, []).append(event)
        now = monotonic()
        for nth, readers in enumerate(wanted.values(), start=1):
            for waiting in readers:
                if waiting.epoch != epoch:
                    _settle(waiting, [])
                elif nth in found:
                    _settle(waiting, found[nth])
                else:
                    waiting.pause = min(_SLOWER * waiting.pause, _LONGEST_PAUSE)
                    waiting.due = now + waiting.pause

    def _fail(self, error: Exception) -> None:
        _log.warning("no look at event streams", error=repr(error))
        problem = error if isinstance(error, Problem) else Problem("internal-error", "no look")
        for waiting in self._waiting:
            if not waiting.found.done():
                waiting.found.set_exception(problem)


def _settle(waiting: _Waiting, events: Sequence[StoredEvent]) -> None:
    with suppress(asyncio.InvalidStateError):
        waiting.found.set_result(events)
