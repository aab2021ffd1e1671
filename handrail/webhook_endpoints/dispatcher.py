"""The dispatcher: claims endpoints that have something due, and sends to many at the same time.

Each endpoint has a bound of its own, and all have one together that many slow endpoints are needed
to reach: one that is slow, or gone, holds up no other.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections import Counter
from datetime import timedelta
from typing import Final

import structlog

from handrail.eventstore.identity import refused_in
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Pool
from handrail.privacy.texts import PersonalTexts
from handrail.webhook_endpoints.delivery_queue import DeliveryQueue
from handrail.webhook_endpoints.endpoint_run import Disabled, EndpointRun, Work
from handrail.webhook_endpoints.offered import OfferedEvents
from handrail.webhook_endpoints.retry_policy import RetryPolicy
from handrail.webhook_endpoints.sender import Sender

_log = structlog.get_logger(__name__)

_REST: Final = 1.0
"""Seconds until the database is asked again that could not be asked."""
_IDLE_FACTOR: Final = 4
_RENEWALS: Final = 5
"""How often a lease is renewed within its length."""


class Dispatcher:
    """Any number of processes share the endpoints. `lease` has to be longer than a try takes.

    `poll` is how often one with free slots looks for endpoints, in seconds; idle it slows down to
    four times that.
    """

    def __init__(
        self,
        pool: Pool,
        sender: Sender,
        offered: OfferedEvents,
        texts: PersonalTexts,
        disabled: Disabled,
        *,
        policy: RetryPolicy,
        slots: int = 64,
        per_endpoint: int = 4,
        lease: timedelta = timedelta(seconds=45),
        poll: float = 0.25,
    ) -> None:
        self._pool = pool
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._queue = DeliveryQueue(owner, lease)
        self._slots, self._poll, self._lease = slots, poll, lease
        self._stopping = asyncio.Event()
        self._work = Work(
            pool=pool,
            queue=self._queue,
            sender=sender,
            offered=offered,
            texts=texts,
            policy=policy,
            slots=asyncio.Semaphore(slots),
            per_endpoint=per_endpoint,
            stopping=self._stopping,
            disabled=disabled,
        )
        self._running: dict[str, asyncio.Task[None]] = {}
        self._until: dict[str, float] = {}
        """Until when each lease lasts at least, by the clock of this process."""
        self.working = asyncio.Event()
        """Set once the queue could be asked."""

    @property
    def counts(self) -> Counter[str]:
        """Tries by what became of them, and endpoints that were disabled."""
        return self._work.counts

    @property
    def endpoints(self) -> int:
        """How many endpoints it sends to at the moment."""
        return len(self._running)

    async def run(self, stop: asyncio.Event, *, finish: float = 5.0) -> None:
        """Work until `stop` is set; what is on its way then has `finish` seconds to end."""
        stopped = asyncio.create_task(stop.wait())
        renewing = asyncio.create_task(self._live())
        pause = self._poll
        try:
            while not stop.is_set():
                pause = await self._turn(stopped, pause)
        finally:
            self._stopping.set()
            stopped.cancel()
            running = list(self._running.values())
            if running:
                await asyncio.wait(running, timeout=finish)
            renewing.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(renewing, *running, return_exceptions=True)

    async def _turn(self, stopped: asyncio.Task[bool], pause: float) -> float:
        try:
            taken = await self._take()
            self.working.set()
            pause = self._poll if taken else min(pause * 1.2, self._poll * _IDLE_FACTOR)
        except Exception as error:  # noqa: BLE001  # one that ends helps nobody
            if not refused_in(error):  # which the pool says, once
                _log.warning("the queue cannot be asked", error=repr(error))
            pause = _REST
        await asyncio.wait({stopped}, timeout=pause)
        return pause

    async def _take(self) -> int:
        free = self._slots - len(self._running)
        if free <= 0:
            return 0
        since = time.monotonic()
        async with self._pool.connection() as connection:
            found = await self._queue.claim(connection, free)
        for endpoint in found:
            self._until[endpoint] = since + self._lease.total_seconds()
            self._running[endpoint] = asyncio.create_task(self._run(endpoint))
        return len(found)

    async def _run(self, endpoint: str) -> None:
        """Until nothing is due. Where the database fails, the lease ends, and others go on."""
        try:
            await EndpointRun(self._work, endpoint, lambda: self._may_send(endpoint)).run()
            async with self._pool.connection() as connection:
                await self._queue.let_go(connection, endpoint)
        except Exception as error:  # noqa: BLE001  # one endpoint must not stop all others
            if not refused_in(error):
                _log.warning("endpoint left", endpoint=endpoint, error=repr(error))
        finally:
            self._running.pop(endpoint, None)
            self._until.pop(endpoint, None)

    def _may_send(self, endpoint: str) -> bool:
        """Whether the lease lasts for another try, with some room for clocks."""
        return self._until.get(endpoint, 0.0) - time.monotonic() > self._lease.total_seconds() / 2

    async def _live(self) -> None:
        every = self._lease.total_seconds() / _RENEWALS
        await asyncio.sleep(every)
        await run_periodically(self._renew, every, _log, "leases not renewed")

    async def _renew(self) -> None:
        if not (ids := list(self._running)):
            return
        since = time.monotonic()
        async with self._pool.connection() as connection:
            ours = await self._queue.renew(connection, ids)
        for endpoint in self._until.keys() & set(ids):
            until = since + self._lease.total_seconds() if endpoint in ours else 0.0
            self._until[endpoint] = until
