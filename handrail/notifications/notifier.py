"""Sends what is due, as fast as the provider takes it. Any number of processes share the work.

Each has so many slots, and a message that is being sent holds one. Transactional messages may take
all of them, campaigns all but the reserved ones; and whenever slots are free, transactional ones
are asked for first. So the next slot that becomes free is theirs, however many others wait.

Where as many tries in a row got no clear answer as there are slots, it is the provider that is at
fault: then one message at a time finds out whether it is back, so that an outage parks no queue.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

import psycopg
import structlog

from handrail.eventstore.identity import refused_in
from handrail.eventstore.pool import Pool
from handrail.notifications import queue
from handrail.notifications.kinds import MessageKinds
from handrail.notifications.provider import Answer, Declined, Provider, Taken, Throttled, Unclear
from handrail.notifications.queue import CAMPAIGN, LANES, TRANSACTIONAL, Due, Lane, Settled
from handrail.notifications.send_policy import SendFrom, Withhold, decide
from handrail.privacy.texts import CLEAR, PersonalTexts, SubjectErased
from handrail.tracing import spans

_log = structlog.get_logger(__name__)

_REST: Final = 1.0
"""Seconds until the database is asked again that could not be asked."""
_GATHER: Final = 0.005
"""Seconds."""
_LONGEST_PAUSE: Final = 30.0
"""Seconds between two looks at a provider that is away."""
_LONGEST_BACKOFF: Final = timedelta(hours=1)


class Notifier:
    """`lease` must be longer than the provider's timeout: then nobody takes over from the living.

    `attempts` is how often a message is tried whose fate is unclear, the first time included; after
    the nth the next waits `backoff` times 2 to the nth, and half of that more or less. `personal`
    opens addresses, which are sealed until the provider is asked.
    """

    def __init__(
        self,
        pool: Pool,
        provider: Provider,
        kinds: MessageKinds,
        *,
        slots: int = 16,
        reserved: int = 4,
        attempts: int = 8,
        backoff: float = 1.0,
        poll: float = 0.25,
        lease: timedelta = timedelta(seconds=30),
        personal: PersonalTexts = CLEAR,
    ) -> None:
        if not 0 < reserved < slots:
            raise ValueError("some slots, and not all of them, are reserved")
        self._pool = pool
        self._provider = provider
        self._personal = personal
        self._kinds = kinds.kinds
        self._slots: Mapping[Lane, int] = {TRANSACTIONAL: slots, CAMPAIGN: slots - reserved}
        self._attempts = attempts
        self._backoff = backoff
        self._poll = poll
        self._lease = lease
        self._sending: dict[asyncio.Task[Settled], Due] = {}
        self._paused_until = 0.0
        self._unclear_in_a_row = 0
        self.counts: Counter[tuple[Lane, str]] = Counter()
        """By lane: what became of messages, and how often the provider said it was too much."""
        self.working = asyncio.Event()
        """Set once the queue could be asked."""

    @property
    def sending(self) -> int:
        return len(self._sending)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what is being sent then is waited for, and noted."""
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._turn(stopped)
            if self._sending:
                await asyncio.wait(self._sending)
                await self._note()
        finally:
            stopped.cancel()
            for task in self._sending:
                task.cancel()

    async def _turn(self, stopped: asyncio.Task[bool]) -> None:
        try:
            taken = await self._take()
            self.working.set()
            if taken == 0:
                await self._something_happens(stopped)
            await self._note()
        except psycopg.Error as error:
            if not refused_in(error):  # which the pool says, once
                _log.warning("the queue cannot be asked", error=str(error))
            await asyncio.wait({stopped}, timeout=_REST)

    async def _something_happens(self, stopped: asyncio.Task[bool]) -> None:
        rest = max(self._poll, self._paused_until - time.monotonic())
        await asyncio.wait(
            {stopped, *self._sending}, timeout=rest, return_when=asyncio.FIRST_COMPLETED
        )
        if self._sending:
            # Others end at nearly the same time: they share a statement.
            await asyncio.wait(self._sending, timeout=_GATHER)

    async def _take(self) -> int:
        """Fill the free slots. How many messages were taken."""
        if time.monotonic() < self._paused_until:
            return 0
        taken = 0
        for lane in LANES:
            slots = 1 if self._provider_is_away else self._slots[lane]
            free = slots - len(self._sending)
            if free <= 0:
                break
            async with self._pool.connection() as connection:
                found = await queue.take(connection, lane, free, self._lease)
            for due in found:
                self._sending[asyncio.create_task(self._send(due))] = due
            taken += len(found)
        return taken

    async def _note(self) -> None:
        """Write down what became of those that are no longer being sent."""
        done = [task for task in self._sending if task.done()]
        if not done:
            return
        settled = [task.result() for task in done]
        async with self._pool.connection() as connection:
            await queue.settle(connection, settled)
        for task, one in zip(done, settled, strict=True):
            del self._sending[task]
            self.counts[one.due.lane, "again" if one.state == "waiting" else one.state] += 1

    async def _send(self, due: Due) -> Settled:
        try:
            said = {"handrail.channel": due.channel, "handrail.kind": due.kind}
            with spans.handling("notify", {spans.TRACEPARENT: due.traceparent}, said) as span:
                settled = await self._sent(due, datetime.now(UTC))
                span.set_attribute("handrail.state", settled.state)
                return settled
        except Exception as error:  # noqa: BLE001  # one message must not stop all others
            _log.error("message not sent", source=due.source, error=repr(error))
            return self._unclear(due, Unclear(repr(error)))

    async def _sent(self, due: Due, now: datetime) -> Settled:
        match decide(self._kinds[due.kind], due.channel, due.contact, now, due.expires_at):
            case Withhold(reason=reason):
                return Settled(due=due, state="withheld", reason=reason)
            case SendFrom(at=at) if at > now:
                return Settled(due=due, state="waiting", due_at=at, reason="quiet hours")
        assert due.letter is not None
        try:
            to = await self._personal.reveal(due.letter.to)
        except SubjectErased:
            return Settled(due=due, state="withheld", reason="the recipient was erased")
        return self._settled(due, await self._provider.carry(replace(due.letter, to=to)))

    def _settled(self, due: Due, answer: Answer) -> Settled:
        self._count(answer)
        match answer:
            case Taken(id=id_):
                return Settled(due=due, state="sent", tried=True, provider_id=id_)
            case Declined(code=code):
                return Settled(due=due, state="failed", tried=True, reason=code)
            case Throttled() as throttled:
                return self._throttled(due, throttled)
            case Unclear() as unclear:
                return self._unclear(due, unclear)
            case _ as never:
                assert_never(never)

    @property
    def _provider_is_away(self) -> bool:
        return self._unclear_in_a_row >= self._slots[TRANSACTIONAL]

    def _count(self, answer: Answer) -> None:
        match answer:
            case Unclear():
                self._unclear_in_a_row += 1
                if self._provider_is_away:
                    looks = self._unclear_in_a_row - self._slots[TRANSACTIONAL]
                    pause = min(self._backoff * 2 ** min(looks, 30), _LONGEST_PAUSE)
                    self._paused_until = max(self._paused_until, time.monotonic() + pause)
            case _:
                self._unclear_in_a_row = 0

    def _throttled(self, due: Due, answer: Throttled) -> Settled:
        """Nothing was tried; and nothing else is for as long as the provider says."""
        self.counts[due.lane, "throttled"] += 1
        self._paused_until = max(self._paused_until, time.monotonic() + answer.seconds)
        again = datetime.now(UTC) + timedelta(seconds=answer.seconds)
        return Settled(due=due, state="waiting", due_at=again, reason="too many at once")

    def _unclear(self, due: Due, answer: Unclear) -> Settled:
        tries = due.attempts + 1
        if tries >= self._attempts:
            return Settled(due=due, state="parked", tried=True, reason=answer.cause)
        wait = self._backoff * 2**tries * random.uniform(0.5, 1.5)  # noqa: S311  # no secret
        again = datetime.now(UTC) + min(timedelta(seconds=wait), _LONGEST_BACKOFF)
        return Settled(due=due, state="waiting", due_at=again, tried=True, reason=answer.cause)
