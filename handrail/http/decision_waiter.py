"""Decisions, as the sagas' own streams tell them: one look for all who wait.

A decision is stored in the transaction of the step that makes it. Whoever waits for it reads it
there, and not from the workflow, which answers when its task is over and more of the saga with it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog
from sqlalchemy import TextClause, text

from handrail.eventstore.codec import Codec
from handrail.http.database import Database
from handrail.http.problems import Problem
from handrail.http.start_request import StartRequest
from handrail.kernel import stream_name
from handrail.sagas.events import SagaDecided
from handrail.sagas.options import Decision

_SOONEST: Final = 0.02  # seconds; nothing is decided before
_SHORTEST_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.1
_LATER: Final = 1 / 24
"""How much later than need be a decision may be seen, beside the time it took."""
_log = structlog.get_logger(__name__)

_DECIDED: Final[TextClause] = text("""
SELECT w.stream, e.type, e.schema, e.data, store_token(e.txid) AS token
FROM unnest(CAST(:streams AS text[])) AS w (stream)
JOIN events e ON e.stream = w.stream
WHERE e.type = 'SagaDecided'
ORDER BY e.stream, e.version
""")


@dataclass(frozen=True, eq=False)
class _Waiting:
    attempt: int
    decision: asyncio.Future[Decision]


AT_ONCE: Final = 500


class DecisionWaiter:
    """`at_once` requests may wait in the process; those beyond are answered without a decision."""

    def __init__(self, database: Database, codec: Codec, at_once: int = AT_ONCE) -> None:
        self._database = database
        self._codec = codec
        self._at_once = at_once
        self._count = 0
        self._waiting: defaultdict[str, set[_Waiting]] = defaultdict(set)
        self._looking: asyncio.Task[None] | None = None
        self._newest = 0.0

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may: a preference to wait (RFC 7240) is passed over then."""
        return self._count >= self._at_once

    async def wait_for(self, beginning: StartRequest, seconds: float) -> Decision | None:
        """The decision on what was begun, where one falls in time."""
        stream = stream_name("saga", beginning.saga)
        waiting = _Waiting(beginning.attempt, asyncio.get_running_loop().create_future())
        self._waiting[stream].add(waiting)
        self._count += 1
        self._newest = monotonic()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            return await asyncio.wait_for(waiting.decision, seconds)
        except TimeoutError:
            _log.info("no decision in time", saga=beginning.saga)
            return None
        finally:
            self._count -= 1
            self._waiting[stream].discard(waiting)
            if not self._waiting[stream]:
                del self._waiting[stream]

    async def _look(self) -> None:
        """As long as somebody waits; the longer the newest does, the less often."""
        while self._waiting:
            waited = monotonic() - self._newest
            pause = max(_SOONEST - waited, _SHORTEST_PAUSE, _LATER * waited)
            await asyncio.sleep(min(pause, _LONGEST_PAUSE))
            try:
                await self._tell()
            except Exception as error:  # noqa: BLE001  # one that ends would leave all waiting
                if not (isinstance(error, Problem) and error.slug == "other-store"):
                    _log.warning("no look at decisions", error=repr(error))

    async def _tell(self) -> None:
        async with self._database.connection() as connection:
            rows = (await connection.execute(_DECIDED, {"streams": [*self._waiting]})).all()
        for stream, type_, schema, data, token in rows:
            if not self._codec.reads(type_, schema):
                continue  # a request to a process of the newer release gets it
            decided: SagaDecided = self._codec.decode(type_, schema, data)
            decision = Decision(
                approved=decided.approved,
                because=decided.because,
                reason=decided.reason,
                token=token,
            )
            for waiting in self._waiting.get(stream, ()):
                if waiting.attempt == decided.attempt and not waiting.decision.done():
                    waiting.decision.set_result(decision)
