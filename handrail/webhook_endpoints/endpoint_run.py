"""Sends what is due to one endpoint: each stream in order, several streams at the same time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

import structlog

from handrail.eventstore.pool import Pool
from handrail.privacy.texts import PersonalTexts, SubjectErased
from handrail.webhook_endpoints.delivery_queue import DeliveryQueue, Due, Target
from handrail.webhook_endpoints.message import TEST_TYPE, Content, body_of_test
from handrail.webhook_endpoints.offered import OfferedEvents
from handrail.webhook_endpoints.retry_policy import IN_A_ROW, RetryPolicy
from handrail.webhook_endpoints.sender import Delivered, Failed, Sender, Signed

_log = structlog.get_logger(__name__)

_BATCH: Final = 100
"""Deliveries that are read at once."""
_CURRENT: Final = 1.0
"""Seconds for which an endpoint's address, secrets and state are believed."""

Disabled = Callable[[str, str], Awaitable[None]]
"""Stores that an endpoint was disabled, and why."""


class _Over(Exception):
    """Nothing more is sent now: it rests, is not active, is another process's, or all stop."""


@dataclass(frozen=True)
class Work:
    """What all runs of a dispatcher share. `slots` are those of the whole process."""

    pool: Pool
    queue: DeliveryQueue
    sender: Sender
    offered: OfferedEvents
    texts: PersonalTexts
    policy: RetryPolicy
    slots: asyncio.Semaphore
    per_endpoint: int
    stopping: asyncio.Event
    disabled: Disabled
    counts: Counter[str] = field(default_factory=Counter)
    """Tries by what became of them."""


class EndpointRun:
    """One endpoint, as long as something is due there. `may_send` is whether the lease lasts."""

    def __init__(self, work: Work, endpoint: str, may_send: Callable[[], bool]) -> None:
        self._work = work
        self._endpoint = endpoint
        self._may_send = may_send
        self._own = asyncio.Semaphore(work.per_endpoint)
        self._target: Target | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._over = False

    async def run(self) -> None:
        """Raises what the database raises."""
        try:
            while not self._over and await self._batch():
                pass
        except _Over:
            pass

    async def _batch(self) -> bool:
        """Whether there was something due."""
        work = self._work
        target = await self._current()
        async with work.pool.connection() as connection:
            found = await work.queue.due(connection, self._endpoint, _BATCH)
        chains, behind = in_turn(found)
        if behind:
            async with work.pool.connection() as connection:
                await work.queue.put_behind(connection, self._endpoint, behind)
        if target.failures >= IN_A_ROW and chains:
            # One message finds out whether it is back.
            chains = [chains[0][:1]]
        async with asyncio.TaskGroup() as group:
            for chain in chains:
                group.create_task(self._chain(chain))
        return bool(found)

    async def _chain(self, chain: Sequence[Due]) -> None:
        """Up to the first that fails: those behind it wait."""
        try:
            for due in chain:
                async with self._own, self._work.slots:
                    if not await self._sent(due):
                        return
        except _Over:
            self._over = True

    async def _sent(self, due: Due) -> bool:
        """Whether the next of its stream may be sent."""
        target = await self._current()
        work = self._work
        try:
            body = await self._body(target, due)
            secrets = [await work.texts.reveal(one) for one in target.secrets]
        except SubjectErased:
            await self._disable("its secret cannot be opened: register it again")
            raise _Over from None
        except Exception as error:  # noqa: BLE001  # what a conversion may raise has no bound
            _log.error(
                "no webhook can be made", endpoint=self._endpoint, id=due.id, error=str(error)
            )
            await self._park(due, f"no message can be made of it: {type(error).__name__}")
            return False
        at = datetime.now(UTC)
        outcome = await work.sender.send(Signed(target.url, due.id, body, secrets))
        if isinstance(outcome, Delivered):
            work.counts["delivered"] += 1
            async with work.pool.connection() as connection:
                await work.queue.delivered(connection, self._endpoint, due, at, outcome.status)
            if target.failures:
                self._read_at = float("-inf")
            return True
        await self._failed(due, at, outcome)
        return False

    async def _failed(self, due: Due, at: datetime, outcome: Failed) -> None:
        work, policy = self._work, self._work.policy
        tried_for = at - (due.first_attempt_at or at)
        again = policy.again(due.attempts + 1, tried_for, outcome.retry_after)
        work.counts["failed" if again else "parked"] += 1
        async with work.pool.connection() as connection:
            failures, failing_for = await work.queue.failed(
                connection,
                self._endpoint,
                due,
                at=at,
                status=outcome.status,
                problem=outcome.problem,
                again=again,
            )
            rest = policy.asked_rest(outcome.retry_after) or policy.rest(failures)
            if rest:
                await work.queue.pause(connection, self._endpoint, rest)
        self._read_at = float("-inf")
        if outcome.gone:
            await self._disable(outcome.problem)
        elif policy.disables(failing_for):
            hours = failing_for.total_seconds() / 3600
            await self._disable(f"every try failed for {hours:.0f} hours: {outcome.problem}")
        if rest or outcome.gone:
            raise _Over

    async def _disable(self, because: str) -> None:
        async with self._work.pool.connection() as connection:
            done = await self._work.queue.disable(connection, self._endpoint, because)
        if done:
            self._work.counts["disabled"] += 1
            _log.warning("webhook endpoint disabled", endpoint=self._endpoint, because=because)
            await self._work.disabled(self._endpoint, because)
        self._over = True

    async def _park(self, due: Due, problem: str) -> None:
        self._work.counts["parked"] += 1
        async with self._work.pool.connection() as connection:
            await self._work.queue.park(connection, self._endpoint, due, problem)

    async def _current(self) -> Target:
        """Raises _Over where nothing may be sent any more."""
        if self._over or self._work.stopping.is_set() or not self._may_send():
            raise _Over
        async with self._reading:
            if self._target is None or time.monotonic() - self._read_at > _CURRENT:
                async with self._work.pool.connection() as connection:
                    self._target = await self._work.queue.target(connection, self._endpoint)
                self._read_at = time.monotonic()
        if self._target is None:
            raise _Over
        return self._target

    async def _body(self, target: Target, due: Due) -> bytes:
        if due.type == TEST_TYPE and due.event is None:
            return body_of_test(target.id, due.stream, due.version, due.created_at)
        if due.event is None:
            raise LookupError("its event is not in the store")
        offered, event = self._work.offered, due.event
        data = offered.shown(due.type, event.type, event.schema, dict(event.data))
        return Content(
            stream=due.stream,
            version=due.version,
            key=due.type,
            at=event.recorded_at,
            word=offered.routing.tenant,
            tenant=target.tenant,
            data=data,
        ).body()


def in_turn(found: Sequence[Due]) -> tuple[list[list[Due]], list[Due]]:
    """What is due, as chains that can be sent now, one for each stream; and what has to wait for
    earlier ones of its stream that are not among them.
    """
    chains: list[list[Due]] = []
    behind: list[Due] = []
    for _, of_stream in groupby(found, key=lambda one: one.stream):
        due = list(of_stream)
        chain = []
        for one in due:
            before = sum(other.version < one.version for other in due)
            if one.earlier > before:
                break
            chain.append(one)
        if chain:
            chains.append(chain)
        behind += due[len(chain) :]
    return chains, behind
